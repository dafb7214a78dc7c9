"""The fewest keyframes between which CVAT's interpolation stays close to what was tracked."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry import interpolation
from promptable.cvat.geometry.interpolation import Points
from promptable.cvat.geometry.outlines import equidistant, follow_on, polygon_iou

_FARTHEST = 128
"""Frames between two keyframes at most: the work grows with the square."""
_FARTHEST_POLYGON = 32
_COUNTS = (32, 64, 128)
"""Points of a polygon that is interpolated: the fewest that keep its form."""


def rectangle_keyframes(frames: NDArray[Any], boxes: Points, least_iou: float) -> list[int]:
    """Indices of the fewest boxes, the first and last among them, that give back all others with ``least_iou``.

    ``frames`` [N] are rising numbers and ``boxes`` [N, 4] x1, y1, x2, y2 of one visible stretch. Keyframes are at most
    128 frames apart.
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
    inner = slice(start + 1, end)
    between = interpolation.rectangle(
        boxes[start], boxes[end], interpolation.share(frames[start], frames[end], frames[inner])
    )
    return bool((box_iou(between, boxes[inner]) >= least_iou).all())


def _walked(before: Sequence[int]) -> list[int]:
    """The way back from the last one, turned around."""
    way, at = [], len(before) - 1
    while at >= 0:
        way.append(at)
        at = before[at]
    return way[::-1]


def box_iou(one: Points, other: Points) -> NDArray[np.float64]:
    """IoU of boxes x1, y1, x2, y2 [..., 4], pair by pair; 0 where neither has an area."""
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = np.clip(sides, 0, None).prod(-1)
    area = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - common
    return np.asarray(np.divide(common, area, out=np.zeros_like(common), where=area > 0))


def polygon_keyframes(frames: NDArray[Any], outlines: Sequence[Points], least_iou: float) -> list[tuple[int, Points]]:
    """Indices of keyframes and their outlines of equidistant points, which CVAT's rule turns into all others.

    ``outlines`` [N_i, 2] belong to one visible stretch, ``frames`` are rising numbers. Starts and directions are
    aligned from outline to outline. Every frame's interpolation has ``least_iou`` with its outline; a keyframe's own
    outline as far as 128 points can.
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
    even: list[Points] = []
    for outline in outlines:
        points = equidistant(outline, count)
        even.append(follow_on(even[-1], points) if even else points)
    return even


def _polygons_fit(
    frames: NDArray[Any], outlines: Sequence[Points], even: Sequence[Points], least_iou: float
) -> Callable[[int, int], bool]:
    def fit(start: int, end: int) -> bool:
        offsets = interpolation.share(frames[start], frames[end], frames[start + 1 : end])
        return all(
            polygon_iou(interpolation.polygon(even[start], even[end], float(offset)), outlines[start + 1 + i])
            >= least_iou
            for i, offset in enumerate(offsets)
        )

    return fit


def _farthest(start: int, stop: int, fits: Callable[[int, int], bool]) -> int:
    """The last index up to which every end fits."""
    end = start + 1
    while end + 1 < min(stop, start + _FARTHEST_POLYGON) and fits(start, end + 1):
        end += 1
    return end
