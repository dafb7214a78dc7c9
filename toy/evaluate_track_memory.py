"""How well each memory rule keeps its object, over clips made for it: ``python -m toy.evaluate_track_memory``."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from promptable.models.load import load_video_tracker
from promptable.models.sam2.memory import Memory
from promptable.models.sam2.memory_rules import RULES
from promptable.models.sam2.video_prompts import MaskPrompt
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.models.segmentation.features import ImageFeatures
from toy.memory_clips import PER_KIND, MemoryClip, clips

Mask = NDArray[np.bool_]
FROZEN = "frozen"

_TOY = Path(__file__).parent / "sam2"
_SEEN = 0.01  # of the picture: what shows less counts as neither visible nor gone
_FOUND = 0.5


@dataclass
class Figures:
    """What came of following objects: lists over objects and frames, and their summary."""

    ious: list[float] = field(default_factory=list)
    ious_after: list[float] = field(default_factory=list)
    found_again: list[bool] = field(default_factory=list)
    switches: int = 0
    lost_rightly: list[bool] = field(default_factory=list)
    lost_wrongly: list[bool] = field(default_factory=list)

    def add(self, clip: MemoryClip, number: int, masks: Sequence[Mask]) -> None:
        """One object, by its number in the clip, with its answered masks in all frames after the first."""
        gone_before, on_another = False, False
        for scene, mask in zip(clip.frames[1:], masks, strict=True):
            truth = scene.objects[number].mask
            if truth.mean() >= _SEEN:
                overlap = iou(mask, truth)
                self.ious.append(overlap)
                self.lost_wrongly.append(not mask.any())
                if gone_before:
                    self.ious_after.append(overlap)
            elif not truth.any():
                gone_before = True
                self.lost_rightly.append(not mask.any())
            others = [thing.mask for i, thing in enumerate(scene.objects) if i != number]
            is_other = any(iou(mask, other) > _FOUND for other in others)
            self.switches += is_other and not on_another
            on_another = is_other
        if gone_before:
            self.found_again.append(iou(masks[-1], clip.frames[-1].objects[number].mask) > _FOUND)

    def summary(self) -> dict[str, float]:
        """Mean IoU where an object is visible, and once it was gone; the share of the gone that the last frame finds.

        Then how often an answer moved onto another object, and the shares of frames without the object, and with it,
        in which it was answered as lost.
        """
        return {
            "J": float(np.mean(self.ious)),
            "J after return": float(np.mean(self.ious_after)),
            "found again": float(np.mean(self.found_again)),
            "switches": self.switches,
            "lost rightly": float(np.mean(self.lost_rightly)),
            "lost wrongly": float(np.mean(self.lost_wrongly)),
        }


def iou(one: Mask, other: Mask) -> float:
    """Of two masks; 0 where either is empty."""
    return float((one & other).sum() / max(1, (one | other).sum()))


def evaluate(trackers: Mapping[str, VideoTracker], chosen: Sequence[MemoryClip]) -> dict[tuple[str, str], Figures]:
    """Figures by rule and kind of clip. ``trackers`` share one model, ``FROZEN`` answers the first frame's masks."""
    figures: dict[tuple[str, str], Figures] = {}
    for clip in track(chosen, "Clips"):
        encode = next(iter(trackers.values())).encode_image
        features = [encode(scene.image) for scene in clip.frames]
        answers = {name: list(follow(tracker, features, clip)) for name, tracker in trackers.items()}
        first = [thing.mask for thing in clip.frames[0].objects[: clip.followed]]
        for name, frames in {**answers, FROZEN: [first] * (len(clip.frames) - 1)}.items():
            for number in range(clip.followed):
                figures.setdefault((name, clip.kind), Figures()).add(clip, number, [masks[number] for masks in frames])
    return figures


def follow(tracker: VideoTracker, features: Sequence[ImageFeatures], clip: MemoryClip) -> Iterator[list[Mask]]:
    """The masks of the clip's followed objects in each frame after the first, from their masks in the first."""
    first = [MaskPrompt(thing.mask) for thing in clip.frames[0].objects[: clip.followed]]
    banks: list[list[Memory]] = [[result.memory] for result in tracker.start(features[0], first)]
    for step, frame in enumerate(features[1:], 1):
        results = tracker.step(frame, [step] * len(banks), banks)
        banks = [tracker.retain([*bank, result.memory]) for bank, result in zip(banks, results, strict=True)]
        yield [result.mask for result in results]


def joined(figures: Sequence[Figures]) -> Figures:
    """All of them as one."""
    names = ("ious", "ious_after", "found_again", "lost_rightly", "lost_wrongly")
    lists = {name: [value for each in figures for value in getattr(each, name)] for name in names}
    return Figures(**lists, switches=sum(each.switches for each in figures))


def main() -> None:
    """Print the table: each rule over each kind of clip, and over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-kind", type=int, default=PER_KIND, help="clips of each kind")
    parser.add_argument("--model", type=Path, default=_TOY, help="a folder with a SAM 2 model")
    parsed = parser.parse_args()
    trackers = {str(name): load_video_tracker(str(parsed.model), parsed.model, "cpu", "fp32", name) for name in RULES}
    figures = evaluate(trackers, list(clips(parsed.per_kind)))
    for name in (*trackers, FROZEN):
        figures[name, "all clips"] = joined([each for (rule, _), each in figures.items() if rule == name])
    Console().print(_table(figures))


def _table(figures: Mapping[tuple[str, str], Figures]) -> Table:
    table = Table("clips", "memory", *next(iter(figures.values())).summary())
    for (name, kind), each in sorted(figures.items(), key=lambda item: item[0][1]):
        values = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in each.summary().values()]
        table.add_row(kind, name, *values)
    return table


if __name__ == "__main__":
    main()
