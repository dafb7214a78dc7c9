"""The demo on generated scenes: every answer is measured against the truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from tqdm import tqdm

from demo.client import Client
from demo.correct import CorrectionResult, correct
from demo.detect import DetectorResult, detect
from demo.interact import InteractorResult, interact
from demo.page import Section
from demo.returning import ReturnResult, follow, there_and_back
from demo.similar import SimilarResult, find_similar
from demo.track import TrackerResult, track
from toy.memory_clips import FIRST_SEED, memory_clip
from toy.scenes import Scene, scene, video

# Training drew from far smaller seeds: what the demo shows was never trained on.
_FIRST_SEED = 20_000_000


@dataclass(frozen=True)
class Outcome:
    """What goes into summary.json, and what goes onto the page."""

    summary: dict[str, dict[str, float]]
    sections: list[Section]


class _Step(NamedTuple):
    """So many scenes, each by its seed."""

    name: str
    scenes: int
    run: Callable[[int], None]


@dataclass(frozen=True)
class _Results:
    """By the names of the steps, in the order of the page."""

    detector: DetectorResult = field(default_factory=DetectorResult)
    interactor: InteractorResult = field(default_factory=InteractorResult)
    tracker: TrackerResult = field(default_factory=TrackerResult)
    returning: ReturnResult = field(default_factory=ReturnResult)
    corrected: CorrectionResult = field(default_factory=CorrectionResult)
    similar: SimilarResult = field(default_factory=SimilarResult)

    def steps(self, client: Client) -> list[_Step]:
        """What fills them."""
        return [
            _Step("detector", 40, lambda seed: detect(client, scene(seed), self.detector)),
            _Step("interactor", 20, lambda seed: interact(client, scene(seed), self.interactor)),
            _Step("tracker", 6, lambda seed: track(client, video(seed), self.tracker)),
            _Step("returning", 3, lambda seed: follow(client, there_and_back(seed), self.returning)),
            _Step("corrected", 4, lambda seed: correct(client, _look_alike(seed), 0, self.corrected)),
            _Step("similar", 8, lambda seed: find_similar(client, seed, self.similar)),
        ]


def run(client: Client, folder: Path) -> Outcome:
    """Run all scenes through all functions and save the pictures to ``folder``."""
    results = _Results()
    seconds = _timed(results.steps(client))
    by_name = vars(results)
    summary = {name: result.summary() for name, result in by_name.items()}
    return Outcome({**summary, "seconds": seconds}, [result.section(folder) for result in by_name.values()])


def _timed(steps: Sequence[_Step]) -> dict[str, float]:
    """Run all steps; their seconds."""
    seconds = {}
    with tqdm(total=sum(step.scenes for step in steps), unit="scene") as bar:
        for step in steps:
            bar.set_description(step.name)
            started = perf_counter()
            for seed in range(_FIRST_SEED, _FIRST_SEED + step.scenes):
                step.run(seed)
                bar.update()
            seconds[step.name] = round(perf_counter() - started, 1)
    return seconds


def _look_alike(seed: int) -> tuple[Scene, ...]:
    """A clip in which another of its colour or shape is near when a hidden object comes back."""
    return memory_clip("look-alike", FIRST_SEED + seed).frames
