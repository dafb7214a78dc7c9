"""Polygons on the first frame -> the same objects on the others, also once they have left the picture and come back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from demo.answers import drawing_of, truth
from demo.client import Client
from demo.metrics import mask_iou, mean
from demo.pictures import Image, overlay, side_by_side
from promptable.wire.masks import mask_to_polygon
from tests.toy.scenes import Scene, video

_SEEN = 0.01  # share of the picture: what shows less counts as neither visible nor gone
_OBJECTS = 3
_FOUND = 0.5


@dataclass
class ReturnResult:
    """Overlap of every visible object in every frame, and whether those that had been away were found in the last."""

    polygon_ious: list[float] = field(default_factory=list)
    found_again: list[bool] = field(default_factory=list)
    animations: list[list[Image]] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Mean IoU of polygons started from polygons; share of objects that left, came back and were found again."""
        return {"j_polygon": mean(self.polygon_ious), "found_again": mean(self.found_again)}


def there_and_back(seed: int) -> list[Scene]:
    """A clip that is played to and fro, the first from ``seed`` on with several objects of which one is gone between.

    What crosses and leaves on the way there does so again on the way back.
    """
    for number in count(1000 * seed):
        clip = video(number, leaving=0.7)
        gone = [not thing.mask.any() for thing in clip[-1].objects]
        if len(gone) >= _OBJECTS and any(gone):
            return [*clip, *clip[-2::-1]]
    raise AssertionError("unreachable: seeds do not end")


def follow(client: Client, video: Sequence[Scene], result: ReturnResult) -> None:
    """Follow all objects of a clip from their polygons; add what came of it to ``result``."""
    first = video[0]
    hw = (first.image.shape[0], first.image.shape[1])
    polygons = [{"type": "polygon", "points": mask_to_polygon(thing.mask, 1.0)} for thing in first.objects]
    states = client.start_tracking(first.image, polygons)
    away = [any(not scene.objects[i].mask.any() for scene in video) for i in range(len(first.objects))]
    frames = [side_by_side(truth(first), overlay(first.image, [drawing_of(shape, hw) for shape in polygons]))]
    for scene in video[1:]:
        shapes, states = client.track(scene.image, states)
        drawings = [drawing_of(shape, hw) for shape in shapes]
        overlaps = [
            0.0 if drawing.mask is None else mask_iou(drawing.mask, thing.mask)
            for drawing, thing in zip(drawings, scene.objects, strict=True)
        ]
        visible = [thing.mask.mean() >= _SEEN for thing in scene.objects]
        result.polygon_ious += [iou for iou, seen in zip(overlaps, visible, strict=True) if seen]
        frames.append(side_by_side(truth(scene), overlay(scene.image, drawings)))
    result.found_again += [iou > _FOUND for iou, left in zip(overlaps, away, strict=True) if left]
    result.animations.append(frames)
