"""From words on the first frame of a video to masks and tracks in CVAT: ``promptable propagate`` over a stand-in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from demo.answers import truth
from demo.client import Client
from demo.cvat import run, served
from demo.page import Section
from demo.pictures import Drawing, Image, Mask, overlay, save_animation, side_by_side
from demo.track import SEEN
from promptable.cvat.geometry.position import Position, position_at
from promptable.wire.masks import rle_to_mask
from toy.cvat.stand_in import StandIn, Task
from toy.metrics import box_iou, mask_iou, mean
from toy.png import png
from toy.scenes import LABELS, SIZE, Scene, video

FRAMES = 30
_SEEDS = range(23_000_000, 23_000_003)
_MASKS, _BOXES = 1, 2
_TASKS = {
    _MASKS: [(1, "annotation", 0, 16), (2, "annotation", 12, FRAMES - 1)],  # overlapping by five, as CVAT cuts a video
    _BOXES: [(3, "annotation", 0, FRAMES - 1)],
}
_SAME = 0.5
"""IoU from which on a mask is of an object."""

Found = Sequence[Mapping[int, Mask]]
"""By frame: the mask of each group that CVAT holds there."""


@dataclass
class _Result:
    """Of all clips so far, in frames behind the first: overlap of each visible object with its masks and boxes in CVAT.

    Also how often another group took an object over, and how many of the boxes became keyframes.
    """

    mask_ious: list[float] = field(default_factory=list)
    box_ious: list[float] = field(default_factory=list)
    switches: int = 0
    keyframes: int = 0
    boxes: int = 0

    def figures(self) -> dict[str, float]:
        """Mean IoU of masks, and of boxes as CVAT interpolates them; identity switches; share of the boxes kept."""
        return {
            "j_mask": mean(self.mask_ious),
            "j_box": mean(self.box_ious),
            "identity_switches": self.switches,
            "keyframes_kept": self.keyframes / max(self.boxes, 1),
        }


def propagate(client: Client, folder: Path) -> Section:
    """Look for words on the first frames of clips and follow what they find, once as masks and once as boxes.

    Leaves ``propagate.html``, what to look at of the first clip. Raises SystemExit where the command fails.
    """
    result, names = _Result(), []
    for number, seed in enumerate(_SEEDS):
        clip = video(seed, FRAMES)
        page = folder / ("propagate.html" if not number else f"propagate-{number}.html")
        cvat = _annotated(client, clip, page)
        found = list(_masks(cvat))
        _compare_masks(clip, found, result)
        _compare_boxes(clip, cvat, result)
        names.append(f"propagate-{number}.webp")
        save_animation(list(_drawn(clip, found)), folder / names[-1])
    return Section(
        "Words on the first frame become tracks",
        f"promptable propagate over {len(names)} videos of {FRAMES} frames (over a stand-in for CVAT) looks for "
        f"{len(LABELS)} labels on the first frame and follows what it finds. Left the truth, right the masks that CVAT "
        "then holds. j_mask: their overlap with the objects; j_box: that of boxes which CVAT interpolates between "
        "keyframes; identity_switches: how often another track took an object over; keyframes_kept: of all boxes.",
        result.figures(),
        names,
    )


def _annotated(client: Client, clip: Sequence[Scene], page: Path) -> StandIn:
    """A server with the clip as two tasks, after the command."""
    pictures = [png(scene.image) for scene in clip]
    cvat = StandIn(
        tasks={task: Task(pictures, (SIZE, SIZE), jobs, video=True) for task, jobs in _TASKS.items()},
        labels={("task_id", task): [(label, "any") for label in LABELS] for task in _TASKS},
    )
    models = ["--function", client.urls["sam2-tracker"], "--detect", client.urls["grounding-dino"]]
    with served(cvat, page.parent):
        for task, form in ((_MASKS, "mask"), (_BOXES, "rectangle")):
            shown = page if task == _MASKS else page.with_stem(f"{page.stem}-boxes")
            run("propagate", cvat, task, *models, "--as", form, "--page", str(shown))
    return cvat


def _masks(cvat: StandIn) -> Iterator[Mapping[int, Mask]]:
    shapes = [shape for job, *_ in _TASKS[_MASKS] for shape in cvat.annotations.read(job)["shapes"]]
    for frame in range(FRAMES):
        here = [shape for shape in shapes if shape["frame"] == frame]
        yield {shape["group"]: rle_to_mask(shape["points"], (SIZE, SIZE)) for shape in here}


def _compare_masks(clip: Sequence[Scene], found: Found, result: _Result) -> None:
    """An object's masks are those of the group that has it on the first frame."""
    for number in range(len(clip[0].objects)):
        own = last = _group_of(found[0], clip[0].objects[number].mask)
        for scene, masks in zip(clip[1:], found[1:], strict=True):
            mask = scene.objects[number].mask
            if mask.mean() < SEEN:
                continue
            result.mask_ious.append(0.0 if own is None or own not in masks else mask_iou(masks[own], mask))
            now = _group_of(masks, mask)
            result.switches += now is not None and last is not None and now != last
            last = now or last


def _group_of(masks: Mapping[int, Mask], mask: Mask) -> int | None:
    group = max(masks, key=lambda group: mask_iou(masks[group], mask), default=None)
    return None if group is None or mask_iou(masks[group], mask) < _SAME else group


def _compare_boxes(clip: Sequence[Scene], cvat: StandIn, result: _Result) -> None:
    """Each object with the best box of its label that CVAT shows."""
    tracks = [(LABELS[track["label_id"]], track) for track in cvat.annotations.read(3)["tracks"]]
    result.keyframes += sum(len(track["shapes"]) for _, track in tracks)
    for frame, scene in enumerate(clip):
        shown = [(label, position) for label, track in tracks if (position := position_at(track, frame)) is not None]
        result.boxes += len(shown)
        for thing in scene.objects if frame else ():
            if thing.mask.mean() >= SEEN:
                alike = [_overlap(position, thing.xyxy) for label, position in shown if label == thing.label]
                result.box_ious.append(max(alike, default=0.0))


def _overlap(position: Position, xyxy: np.ndarray) -> float:
    return box_iou(np.array(position.points, np.float32), xyxy)


def _drawn(clip: Sequence[Scene], found: Found) -> Iterator[Image]:
    """Left the truth, right what CVAT holds, each group in its colour."""
    groups = sorted({group for masks in found for group in masks})
    for scene, masks in zip(clip, found, strict=True):
        drawings = [Drawing(mask=masks[group]) if group in masks else Drawing() for group in groups]
        yield side_by_side(truth(scene), overlay(scene.image, drawings))
