"""Masks and boxes on the first frame -> the same objects on all others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from demo.answers import drawing_of, truth
from demo.client import Client
from demo.page import Section
from demo.pictures import Drawing, Image, overlay, save_animations, side_by_side
from promptable.wire.masks import mask_to_rle
from toy.metrics import box_iou, mask_iou, mean
from toy.scenes import Scene, SceneObject

SEEN = 0.01
"""Share of the picture: what shows less counts as neither visible nor gone."""


@dataclass
class TrackerResult:
    """Overlap of every visible object in every frame after the first, and what was said of objects that were gone."""

    mask_ious: list[float] = field(default_factory=list)
    box_ious: list[float] = field(default_factory=list)
    gone_reported: list[bool] = field(default_factory=list)
    animations: list[list[Image]] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Mean IoU of masks started from masks and of boxes started from boxes; share of gone objects answered null."""
        return {
            "j_mask": mean(self.mask_ious),
            "j_box": mean(self.box_ious),
            "lost_reported": mean(self.gone_reported),
        }

    def section(self, folder: Path) -> Section:
        """What the page says of it; the pictures go into ``folder``."""
        return Section(
            "Masks and boxes are followed through a video",
            f"{len(self.animations)} clips of 16 frames in which shapes cross, turn, scale and leave. j_mask: from "
            "masks; j_box: boxes from boxes; lost_reported: share of gone objects that are answered as lost.",
            self.summary(),
            save_animations(self.animations, "tracker", folder),
        )


def track(client: Client, video: Sequence[Scene], result: TrackerResult) -> None:
    """Follow all objects of a clip from their masks and again from their boxes; add what came of it to ``result``."""
    first = video[0]
    masks = [{"type": "mask", "points": mask_to_rle(thing.mask).tolist()} for thing in first.objects]
    boxes = [{"type": "rectangle", "points": thing.xyxy.tolist()} for thing in first.objects]
    frames = [side_by_side(truth(first), overlay(first.image, [Drawing(mask=thing.mask) for thing in first.objects]))]
    by_masks, by_boxes = followed(client, video, masks), followed(client, video, boxes)
    for scene, mask_shapes, box_shapes in zip(video[1:], by_masks, by_boxes, strict=True):
        _compare(scene, mask_shapes, box_shapes, result)
        frames.append(side_by_side(truth(scene), overlay(scene.image, drawings_of(scene, mask_shapes))))
    result.animations.append(frames)


def followed(client: Client, video: Sequence[Scene], shapes: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
    """What the tracker answers on each frame after the first, on which the shapes were drawn."""
    states = client.start_tracking(video[0].image, shapes)
    for scene in video[1:]:
        found, states = client.track(scene.image, states)
        yield found


def drawings_of(scene: Scene, shapes: Sequence[Any]) -> list[Drawing]:
    """The answers on a frame, to be drawn and compared."""
    height, width = scene.image.shape[:2]
    return [drawing_of(shape, (height, width)) for shape in shapes]


def overlap(drawing: Drawing, thing: SceneObject) -> float:
    """IoU of an answer's mask with an object, 0 where it was answered as lost."""
    return 0.0 if drawing.mask is None else mask_iou(drawing.mask, thing.mask)


def _compare(scene: Scene, mask_shapes: Sequence[Any], box_shapes: Sequence[Any], result: TrackerResult) -> None:
    for thing, drawing, box_shape in zip(scene.objects, drawings_of(scene, mask_shapes), box_shapes, strict=True):
        if thing.mask.mean() >= SEEN:
            result.mask_ious.append(overlap(drawing, thing))
            result.box_ious.append(box_iou(np.array(box_shape["points"], np.float32), thing.xyxy))
        elif not thing.mask.any():
            result.gone_reported.append(drawing.mask is None)
