"""The worst frame of a track is drawn anew: how much better the rest of the clip becomes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.answers import drawing_of
from demo.client import Client
from demo.page import Section
from demo.pictures import Image, overlay, save_animations, side_by_side
from demo.track import SEEN, overlap
from promptable.wire.masks import mask_to_rle
from toy.metrics import mean
from toy.scenes import Scene

_REST = 4
"""So many frames at least come after a correction."""


@dataclass
class CorrectionResult:
    """Overlap of each object in the frames after its worst one, where it is visible: as it was, and corrected."""

    uncorrected_ious: list[float] = field(default_factory=list)
    corrected_ious: list[float] = field(default_factory=list)
    animations: list[list[Image]] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Mean IoU over the rest of each clip, without and with the correction, and what it gained."""
        without, corrected = mean(self.uncorrected_ious), mean(self.corrected_ious)
        return {"j_rest": without, "j_rest_corrected": corrected, "gain": corrected - without}

    def section(self, folder: Path) -> Section:
        """What the page says of it; the pictures go into ``folder``."""
        return Section(
            "One frame is drawn anew, and the rest follows",
            f"{len(self.animations)} clips in which an object is hidden while another of its colour or shape comes "
            "near. From its worst frame on: left as it was followed, right with that one frame corrected. j_rest and "
            "j_rest_corrected: mean IoU over the frames after it.",
            self.summary(),
            save_animations(self.animations, "corrected", folder),
        )


@dataclass(frozen=True)
class _Step:
    """What was answered of one object in one frame, and the state that led there."""

    shape: Any
    before: Any


def correct(client: Client, clip: Sequence[Scene], number: int, result: CorrectionResult) -> None:
    """Follow an object from its mask, draw its worst frame anew, and follow it from there; add to ``result``."""
    steps = [*_followed(client, clip[1:], *_started(client, clip[0], number))]
    worst = _worst(clip, number, steps)
    if worst is None:
        return
    corrected = [*_followed(client, clip[worst:], steps[worst - 1].before, _mask(clip[worst], number))]
    for scene, one, other in zip(clip[worst + 1 :], steps[worst:], corrected[1:], strict=True):
        if scene.objects[number].mask.mean() >= SEEN:
            result.uncorrected_ious.append(_iou(scene, number, one))
            result.corrected_ious.append(_iou(scene, number, other))
    pairs = zip(clip[worst:], steps[worst - 1 :], corrected, strict=True)
    result.animations.append([side_by_side(_drawn(scene, one), _drawn(scene, other)) for scene, one, other in pairs])


def _started(client: Client, first: Scene, number: int) -> tuple[Any, None]:
    (state,) = client.start_tracking(first.image, [_mask(first, number)])
    return state, None


def _followed(client: Client, frames: Sequence[Scene], state: Any, drawn: Any) -> Iterator[_Step]:
    """The object in these frames, in the first of which it is ``drawn`` anew, if it is."""
    for scene in frames:
        (shape,), (after,) = client.track(scene.image, [state], [] if drawn is None else [drawn])
        yield _Step(shape, state)
        state, drawn = after, None


def _worst(clip: Sequence[Scene], number: int, steps: Sequence[_Step]) -> int | None:
    """Of the visible frames with some after them, the one in which the object is least well found, if there is any."""
    seen = [t for t in range(1, len(clip) - _REST) if clip[t].objects[number].mask.mean() >= SEEN]
    return min(seen, key=lambda t: _iou(clip[t], number, steps[t - 1]), default=None)


def _mask(scene: Scene, number: int) -> dict[str, Any]:
    return {"type": "mask", "points": mask_to_rle(scene.objects[number].mask).tolist()}


def _iou(scene: Scene, number: int, step: _Step) -> float:
    return overlap(drawing_of(step.shape, (scene.image.shape[0], scene.image.shape[1])), scene.objects[number])


def _drawn(scene: Scene, step: _Step) -> Image:
    return overlay(scene.image, [drawing_of(step.shape, (scene.image.shape[0], scene.image.shape[1]))])
