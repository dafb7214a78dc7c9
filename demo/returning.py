"""Polygons on the first frame -> the same objects on the others, past one another, out of the picture and back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, count
from pathlib import Path

import cv2
import numpy as np

from demo.answers import drawing_of, truth
from demo.client import Client
from demo.page import Section
from demo.pictures import Image, overlay, save_animations, side_by_side
from demo.track import SEEN, drawings_of, followed, overlap
from promptable.wire.masks import mask_to_polygon
from toy.metrics import mask_iou, mean
from toy.scenes import Scene, video

_OBJECTS = 3
_FOUND = 0.5
_BEGIN = 4  # the frame of the way there at which a clip begins; the way back ends at its first
_TOUCH = np.ones((5, 5), np.uint8)  # masks that come within 2 pixels of one another touch


@dataclass
class ReturnResult:
    """Overlap of every visible object in every frame, and who was on the right object in the last frame."""

    polygon_ious: list[float] = field(default_factory=list)
    found_again: list[bool] = field(default_factory=list)
    kept_apart: list[bool] = field(default_factory=list)
    animations: list[list[Image]] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Mean IoU of polygons started from polygons, and the shares that are on the right object in the last frame.

        They are shares of the objects that left and came back, and of those that crossed another.
        """
        return {
            "j_polygon": mean(self.polygon_ious),
            "found_again": mean(self.found_again),
            "kept_apart": mean(self.kept_apart),
        }

    def section(self, folder: Path) -> Section:
        """What the page says of it; the pictures go into ``folder``."""
        return Section(
            "What leaves and comes back is found again",
            f"{len(self.animations)} clips of 27 frames, several objects as polygons, played to and further back: what "
            "leaves and crosses does so again, and ends elsewhere than it began. found_again and kept_apart: share of "
            "the objects that were gone, and of those that crossed, with the right polygon in the last frame.",
            self.summary(),
            save_animations(self.animations, "returning", folder),
        )


def there_and_back(seed: int) -> list[Scene]:
    """A clip that is played to and further back, the first from ``seed`` on in which some objects cross and another
    leaves, and none of them ends where it began.

    What crosses and leaves on the way there does so again on the way back. A tracker that stands still finds none.
    """
    for number in count(1000 * seed):
        there = video(number, leaving=0.7)
        clip = [*there[_BEGIN:], *there[-2::-1]]
        if len(clip[0].objects) >= _OBJECTS and any(left(clip)) and any(crossed(clip)) and _all_end_elsewhere(clip):
            return clip
    raise AssertionError("unreachable: seeds do not end")


def _all_end_elsewhere(clip: Sequence[Scene]) -> bool:
    """Whether all are visible in the first frame, and what leaves or crosses is elsewhere in the last."""
    watched = [i for i, pair in enumerate(zip(left(clip), crossed(clip), strict=True)) if any(pair)]
    masks = [(clip[0].objects[i].mask, clip[-1].objects[i].mask) for i in watched]
    visible = all(thing.mask.mean() >= SEEN for thing in clip[0].objects)
    return visible and all(last.mean() >= SEEN and mask_iou(first, last) < _FOUND for first, last in masks)


def left(clip: Sequence[Scene]) -> list[bool]:
    """Which objects are gone in some frame: hidden, or outside."""
    return [any(not scene.objects[i].mask.any() for scene in clip) for i in range(len(clip[0].objects))]


def crossed(clip: Sequence[Scene]) -> list[bool]:
    """Which objects touch another that is clear of them in the first frame, while both are clearly visible."""
    pairs = [pair for pair in combinations(range(len(clip[0].objects)), 2) if not _touch(clip[0], *pair)]
    met = {thing for pair in pairs for scene in clip if _touch(scene, *pair) for thing in pair}
    return [i in met for i in range(len(clip[0].objects))]


def follow(client: Client, video: Sequence[Scene], result: ReturnResult) -> None:
    """Follow all objects of a clip from their polygons; add what came of it to ``result``."""
    first = video[0]
    hw = (first.image.shape[0], first.image.shape[1])
    polygons = [{"type": "polygon", "points": mask_to_polygon(thing.mask, 1.0)} for thing in first.objects]
    frames = [side_by_side(truth(first), overlay(first.image, [drawing_of(shape, hw) for shape in polygons]))]
    for scene, shapes in zip(video[1:], followed(client, video, polygons), strict=True):
        drawings = drawings_of(scene, shapes)
        ious = [overlap(drawing, thing) for drawing, thing in zip(drawings, scene.objects, strict=True)]
        result.polygon_ious += [
            iou for iou, thing in zip(ious, scene.objects, strict=True) if thing.mask.mean() >= SEEN
        ]
        frames.append(side_by_side(truth(scene), overlay(scene.image, drawings)))
    result.found_again += [iou > _FOUND for iou, gone in zip(ious, left(video), strict=True) if gone]
    result.kept_apart += [iou > _FOUND for iou, met in zip(ious, crossed(video), strict=True) if met]
    result.animations.append(frames)


def _touch(scene: Scene, one: int, other: int) -> bool:
    masks = scene.objects[one].mask, scene.objects[other].mask
    grown = cv2.dilate(masks[0].astype(np.uint8), _TOUCH).astype(bool)
    return min(mask.mean() for mask in masks) >= SEEN and bool((grown & masks[1]).any())
