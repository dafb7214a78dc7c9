"""Masks and boxes on the first frame -> the same objects on all others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from demo.answers import drawing_of, truth
from demo.client import Client
from demo.metrics import box_iou, mask_iou, mean
from demo.pictures import Drawing, Image, overlay, side_by_side
from promptable.wire.masks import mask_to_rle
from tests.toy.scenes import Scene

_SEEN = 0.01  # share of the picture: what shows less counts as neither visible nor gone


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


def track(client: Client, video: Sequence[Scene], result: TrackerResult) -> None:
    """Follow all objects of a clip from their masks and again from their boxes; add what came of it to ``result``."""
    first = video[0]
    masks = [{"type": "mask", "points": mask_to_rle(thing.mask)} for thing in first.objects]
    boxes = [{"type": "rectangle", "points": thing.xyxy.tolist()} for thing in first.objects]
    mask_states = client.start_tracking(first.image, masks)
    box_states = client.start_tracking(first.image, boxes)
    frames = [side_by_side(truth(first), overlay(first.image, [Drawing(mask=thing.mask) for thing in first.objects]))]
    for scene in video[1:]:
        mask_shapes, mask_states = client.track(scene.image, mask_states)
        box_shapes, box_states = client.track(scene.image, box_states)
        _compare(scene, mask_shapes, box_shapes, result)
        frames.append(side_by_side(truth(scene), overlay(scene.image, _drawings(scene, mask_shapes))))
    result.animations.append(frames)


def _compare(scene: Scene, mask_shapes: Sequence[Any], box_shapes: Sequence[Any], result: TrackerResult) -> None:
    drawings = _drawings(scene, mask_shapes)
    for thing, drawing, box_shape in zip(scene.objects, drawings, box_shapes, strict=True):
        if thing.mask.mean() >= _SEEN:
            result.mask_ious.append(0.0 if drawing.mask is None else mask_iou(drawing.mask, thing.mask))
            result.box_ious.append(box_iou(np.array(box_shape["points"], np.float32), thing.xyxy))
        elif not thing.mask.any():
            result.gone_reported.append(drawing.mask is None)


def _drawings(scene: Scene, shapes: Sequence[Any]) -> list[Drawing]:
    height, width = scene.image.shape[:2]
    return [drawing_of(shape, (height, width)) for shape in shapes]
