"""How few keyframes ``promptable propagate`` keeps, and how well CVAT's interpolation gives back what lies between.

Shapes of the toy scenes move on a curve and grow, one half of them turning by 5 degrees a frame. What was tracked is
their mask's box, or its outline as the tracker answers it. Beside what is kept stands every fifth frame, with outlines
as they come.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Measurement, Row
from promptable.cvat.geometry import interpolation
from promptable.cvat.geometry.interpolation import Points
from promptable.cvat.geometry.keyframes import box_iou, polygon_keyframes, rectangle_keyframes
from promptable.cvat.geometry.outlines import points_of, polygon_iou
from promptable.wire.masks import mask_to_polygon, mask_to_xyxy
from toy.scenes import SHAPES, Sprite, silhouette

_SIZE = 480
_FRAMES = 48
_SEEDS = 4
_MOTIONS = {"moving": 0.0, "turning": float(np.deg2rad(5))}
"""Radians a frame."""
_TOLERANCE = 1.0
"""PROMPTABLE_POLYGON_TOLERANCE's default, in pixels."""
_IOUS = (0.98, 0.95, 0.9, 0.8)
_STEP = 5
Masks = Sequence[NDArray[np.bool_]]


def measurements(quick: bool) -> list[Measurement]:
    """Rectangles and polygons; ``quick``: one clip of each shape."""
    seeds = 1 if quick else _SEEDS
    return [
        Measurement(f"{kind} {motion}", partial(_kept, kind, motion, seeds), rows=rows)
        for motion in _MOTIONS
        for kind, rows in (("rectangles", len(_IOUS) + 1), ("polygons", len(_IOUS)))
    ]


def _kept(kind: str, motion: str, seeds: int) -> Iterator[Row]:
    clips = [masks_of(shape, seed, _MOTIONS[motion]) for shape in SHAPES for seed in range(seeds)]
    for how, ious in (_rectangles if kind == "rectangles" else _polygons)(clips):
        yield _summed(f"{kind} {motion}, {how}", ious)


def masks_of(shape: str, seed: int, spin: float) -> Masks:
    """A clip: one shape's mask on every frame."""
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    radius, growth, start, speed = rng.uniform((30, 0.99, 0, 0.03), (70, 1.01, 2 * np.pi, 0.08))
    sprite = Sprite("red", shape, (0.0, 0.0), radius, start, growth=growth, spin=spin)
    phases = start + speed * np.arange(_FRAMES)
    centres = _SIZE / 2 + np.stack([120 * np.cos(phases), 90 * np.sin(1.3 * phases)], 1)
    return [silhouette(_at(sprite.after(t), centre), _SIZE) for t, centre in enumerate(centres)]


def _at(sprite: Sprite, centre: Points) -> Sprite:
    return Sprite(sprite.colour, sprite.shape, (float(centre[0]), float(centre[1])), sprite.radius, sprite.angle)


Ious = Sequence[tuple[int, NDArray[np.float64]]]
"""Of each clip: how many keyframes are kept, and the IoU on every frame."""


def _rectangles(clips: Sequence[Masks]) -> Iterator[tuple[str, Ious]]:
    tracked = [np.array([mask_to_xyxy(mask) for mask in masks], np.float64) for masks in clips]
    frames = np.arange(_FRAMES)
    for least in _IOUS:
        yield f"IoU {least}", [_box_ious(boxes, rectangle_keyframes(frames, boxes, least)) for boxes in tracked]
    yield f"every {_STEP}th", [_box_ious(boxes, _every()) for boxes in tracked]


def _box_ious(boxes: Points, kept: Sequence[int]) -> tuple[int, NDArray[np.float64]]:
    shown = boxes.copy()
    for left, right in pairwise(kept):
        between = np.arange(left, right)
        shown[left:right] = interpolation.rectangle(
            boxes[left], boxes[right], interpolation.share(left, right, between)
        )
    return len(kept), box_iou(shown, boxes)


def _polygons(clips: Sequence[Masks]) -> Iterator[tuple[str, Ious]]:
    tracked = [[points_of(mask_to_polygon(mask, _TOLERANCE)) for mask in masks] for masks in clips]
    frames = np.arange(_FRAMES)
    for least in _IOUS[1:]:
        yield f"IoU {least}", [_outline_ious(one, polygon_keyframes(frames, one, least)) for one in tracked]
    yield f"every {_STEP}th", [_outline_ious(one, [(index, one[index]) for index in _every()]) for one in tracked]


def _outline_ious(outlines: Sequence[Points], kept: Sequence[tuple[int, Points]]) -> tuple[int, NDArray[np.float64]]:
    shown = [
        interpolation.polygon(start, end, float(interpolation.share(left, right, frame)))
        for (left, start), (right, end) in pairwise(kept)
        for frame in range(left, right)
    ]
    shown.append(kept[-1][1])
    return len(kept), np.array([polygon_iou(*each) for each in zip(shown, outlines, strict=True)])


def _every() -> list[int]:
    return [*range(0, _FRAMES - 1, _STEP), _FRAMES - 1]


def _summed(what: str, ious: Ious) -> Row:
    """What is kept of the frames of some clips, and the IoU of all frames with what was tracked."""
    every = np.concatenate([one for _, one in ious])
    kept = sum(kept for kept, _ in ious)
    return Row(
        what, {"kept": kept, "frames": len(every), "mean IoU": float(every.mean()), "least IoU": float(every.min())}
    )
