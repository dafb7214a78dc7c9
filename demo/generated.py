"""The demo on generated scenes: every answer is measured against the truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tqdm import tqdm

from demo.client import Client
from demo.confusion import MISSED
from demo.correct import CorrectionResult, correct
from demo.detect import DetectorResult, detect
from demo.interact import InteractorResult, interact
from demo.page import Section, Table
from demo.pictures import Image, save, save_animation
from demo.returning import ReturnResult, follow, there_and_back
from demo.similar import SimilarResult, find_similar
from demo.track import TrackerResult, track
from toy.memory_clips import FIRST_SEED, memory_clip
from toy.scenes import LABELS, Scene, scene, video

# Training drew from far smaller seeds: what the demo shows was never trained on.
_FIRST_SEED = 20_000_000
_DETECTED, _CLICKED, _VIDEOS, _RETURNING, _CORRECTED, _REFERENCES = 40, 20, 6, 3, 4, 8
_SHOWN = 8


@dataclass(frozen=True)
class Outcome:
    """What goes into summary.json, and what goes onto the page."""

    summary: dict[str, dict[str, float]]
    sections: list[Section]


def run(client: Client, folder: Path) -> Outcome:
    """Run all scenes through all functions and save the pictures to ``folder``."""
    detector, interactor, tracker = DetectorResult(), InteractorResult(), TrackerResult()
    returning, corrected, similar = ReturnResult(), CorrectionResult(), SimilarResult()
    steps: tuple[tuple[str, int, Callable[[int], None]], ...] = (
        ("detector", _DETECTED, lambda seed: detect(client, scene(seed), detector)),
        ("interactor", _CLICKED, lambda seed: interact(client, scene(seed), interactor)),
        ("tracker", _VIDEOS, lambda seed: track(client, video(seed), tracker)),
        ("returning", _RETURNING, lambda seed: follow(client, there_and_back(seed), returning)),
        ("corrected", _CORRECTED, lambda seed: correct(client, _look_alike(seed), 0, corrected)),
        ("similar", _REFERENCES, lambda seed: find_similar(client, seed, similar)),
    )
    seconds: dict[str, float] = {}
    with tqdm(total=sum(count for _, count, _ in steps), unit="scene") as bar:
        for name, count, step in steps:
            bar.set_description(name)
            started = perf_counter()
            for seed in range(_FIRST_SEED, _FIRST_SEED + count):
                step(seed)
                bar.update()
            seconds[name] = round(perf_counter() - started, 1)
    summary = {
        "detector": detector.summary(),
        "interactor": interactor.summary(),
        "tracker": tracker.summary(),
        "returning": returning.summary(),
        "corrected": corrected.summary(),
        "similar": similar.summary(),
        "seconds": seconds,
    }
    sections = [
        *_sections(detector, interactor, tracker, folder),
        *_memory_sections(returning, corrected, similar, folder),
    ]
    return Outcome(summary, sections)


def _sections(
    detector: DetectorResult, interactor: InteractorResult, tracker: TrackerResult, folder: Path
) -> list[Section]:
    return [
        Section(
            "Words become boxes and masks",
            f"{len(detector.pictures)} pictures, {len(LABELS)} labels with a synonym each asked for at once. Circles "
            "are answered as rectangles, squares as polygons, triangles and stars as masks. Left the truth, right the "
            "answer.",
            detector.summary(),
            _save_pictures(detector.pictures, "detector", folder),
            Table(
                "What each object (rows) was answered as (columns), wherever boxes overlap by an IoU of at least 0.5.",
                (*LABELS, MISSED),
                detector.confusion.rows(LABELS),
            ),
        ),
        Section(
            "A click becomes a mask",
            f"{len(interactor.click_ious)} objects: one click in the middle, then up to two correcting clicks (green "
            "on the object, red beside it). Also one box each, not drawn. Left the truth, right the corrected masks.",
            interactor.summary(),
            _save_pictures(interactor.pictures, "interactor", folder),
        ),
        Section(
            "Masks and boxes are followed through a video",
            f"{len(tracker.animations)} clips of 16 frames in which shapes cross, turn, scale and leave. j_mask: from "
            "masks; j_box: boxes from boxes; lost_reported: share of gone objects that are answered as lost.",
            tracker.summary(),
            _save_animations(tracker.animations, "tracker", folder),
        ),
    ]


def _look_alike(seed: int) -> tuple[Scene, ...]:
    """A clip in which another of its colour or shape is near when a hidden object comes back."""
    return memory_clip("look-alike", FIRST_SEED + seed).frames


def _memory_sections(
    returning: ReturnResult, corrected: CorrectionResult, similar: SimilarResult, folder: Path
) -> list[Section]:
    return [
        Section(
            "What leaves and comes back is found again",
            f"{len(returning.animations)} clips of 27 frames, several objects as polygons, played to and further "
            "back: what leaves and crosses does so again, and ends elsewhere than it began. found_again and "
            "kept_apart: share of the objects that were gone, and of those that crossed, with the right polygon in the "
            "last frame.",
            returning.summary(),
            _save_animations(returning.animations, "returning", folder),
        ),
        Section(
            "One frame is drawn anew, and the rest follows",
            f"{len(corrected.animations)} clips in which an object is hidden while another of its colour or shape "
            "comes near. From its worst frame on: left as it was followed, right with that one frame corrected. j_rest "
            "and j_rest_corrected: mean IoU over the frames after it.",
            corrected.summary(),
            _save_animations(corrected.animations, "corrected", folder),
        ),
        Section(
            "One reference, other pictures",
            "Beyond video: the same calls, from a mask on one picture (left) to the object of equal colour and shape "
            "on unrelated ones (right), which this small model was never trained for.",
            similar.summary(),
            _save_pictures(similar.pictures, "similar", folder),
        ),
    ]


def _save_pictures(pictures: Sequence[Image], name: str, folder: Path) -> list[str]:
    files = [f"{name}-{number}.png" for number in range(min(len(pictures), _SHOWN))]
    for file, picture in zip(files, pictures, strict=False):
        save(picture, folder / file)
    return files


def _save_animations(animations: Sequence[Sequence[Image]], name: str, folder: Path) -> list[str]:
    files = [f"{name}-{number}.webp" for number in range(len(animations))]
    for file, frames in zip(files, animations, strict=True):
        save_animation(frames, folder / file)
    return files
