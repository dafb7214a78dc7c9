"""Choosing keyframes: as few as possible, so that CVAT's interpolation stays close to what was tracked."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry import interpolation
from promptable.cvat.geometry.interpolation import Points
from promptable.cvat.geometry.outlines import equidistant, polygon_iou, rolled_onto

_FARTHEST = 128
"""The greatest distance of two keyframes of rectangles, in frames: the work grows with its square."""
_FARTHEST_POLYGON = 32
"""The same for polygons."""
_COUNTS = (32, 64, 128)
"""Numbers of points of an interpolated polygon, of which the first that keeps its form is used."""


def rectangle_keyframes(frames: NDArray[Any], boxes: Points, least_iou: float) -> list[int]:
    """The indices of the fewest keyframes between which every interpolated box has ``least_iou`` with its own.

    ``frames`` [N] are ascending and ``boxes`` [N, 4] are x1, y1, x2, y2, of one visible stretch. The first and the last
    index are always keyframes, and keyframes are at most 128 indices apart.
    """
    steps, before = [0], [-1]
    for end in range(1, len(frames)):
        best = end - 1
        for start in range(max(0, end - _FARTHEST), end - 1):
            if steps[start] < steps[best] and _boxes_fit(frames, boxes, start, end, least_iou):
                best = start
        steps.append(steps[best] + 1)
        before.append(best)
    return _walked(before)


def _boxes_fit(frames: NDArray[Any], boxes: Points, start: int, end: int, least_iou: float) -> bool:
    """Whether keyframes at the indices ``start`` and ``end`` fit all boxes between them."""
    inner = slice(start + 1, end)
    between = interpolation.rectangle(
        boxes[start], boxes[end], interpolation.share(frames[start], frames[end], frames[inner])
    )
    return bool((box_iou(between, boxes[inner]) >= least_iou).all())


def _walked(before: Sequence[int]) -> list[int]:
    """The path to the last index, in ascending order; ``before`` is the step before each index, -1 before the first."""
    way, at = [], len(before) - 1
    while at >= 0:
        way.append(at)
        at = before[at]
    return way[::-1]


def box_iou(one: Points, other: Points) -> NDArray[np.float64]:
    """The IoU [...] of boxes x1, y1, x2, y2 [..., 4], pair by pair; 0 where neither has an area."""
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = np.clip(sides, 0, None).prod(-1)
    area = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - common
    return np.asarray(np.divide(common, area, out=np.zeros_like(common), where=area > 0))


def polygon_keyframes(frames: NDArray[Any], outlines: Sequence[Points], least_iou: float) -> list[tuple[int, Points]]:
    """Keyframes between which every interpolated polygon has ``least_iou`` with its outline.

    Returns the index and the polygon [P, 2] of each; P is the same for all. ``frames`` are ascending, ``outlines``
    [N_i, 2] belong to one visible stretch. The polygons have equidistant points, aligned from frame to frame. At a
    keyframe itself the IoU may be lower, if 128 points cannot draw the outline.
    """
    for count in _COUNTS:
        even = _aligned(outlines, count)
        if all(polygon_iou(a, b) >= least_iou for a, b in zip(even, outlines, strict=True)):
            break
    fits = _polygons_fit(frames, outlines, even, least_iou)
    kept = [0]
    while kept[-1] < len(frames) - 1:
        kept.append(_farthest(kept[-1], len(frames), fits))
    return [(index, even[index]) for index in kept]


def _aligned(outlines: Sequence[Points], count: int) -> list[Points]:
    """The outlines with ``count`` equidistant points each, whose first points follow one another."""
    even: list[Points] = []
    for outline in outlines:
        points = equidistant(outline, count)
        even.append(rolled_onto(even[-1], points) if even else points)
    return even


def _polygons_fit(
    frames: NDArray[Any], outlines: Sequence[Points], even: Sequence[Points], least_iou: float
) -> Callable[[int, int], bool]:
    """A function that says whether two keyframes, given by their indices, fit all outlines between them."""

    def fit(start: int, end: int) -> bool:
        offsets = interpolation.share(frames[start], frames[end], frames[start + 1 : end])
        return all(
            polygon_iou(interpolation.polygon(even[start], even[end], float(offset)), outlines[start + 1 + i])
            >= least_iou
            for i, offset in enumerate(offsets)
        )

    return fit


def _farthest(start: int, stop: int, fits: Callable[[int, int], bool]) -> int:
    """The next keyframe after ``start``: the last index before the first one that does not fit."""
    end = start + 1
    while end + 1 < min(stop, start + _FARTHEST_POLYGON) and fits(start, end + 1):
        end += 1
    return end
