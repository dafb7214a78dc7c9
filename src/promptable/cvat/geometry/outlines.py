"""Polygons as arrays [N, 2] of x, y in continuous picture pixels: equidistant points, alignment, overlap."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry.interpolation import Points

DECIMALS = 2
"""Decimals of coordinates: hundredths of a pixel, which CVAT gives back as they were sent."""
_SIDE = 256
"""Cells along the longer side of the grid on which overlaps are counted."""


def points_of(flat: object) -> Points:
    """CVAT's flat x, y, x, y ... as an array [N, 2]."""
    return np.asarray(flat, np.float64).reshape(-1, 2)


def moved_inside(flat: Iterable[float], hw: tuple[int, int]) -> tuple[float, ...]:
    """CVAT's flat x, y, x, y ... clipped to a picture of ``hw``, in hundredths of a pixel.

    Raises ValueError if a coordinate is not a finite number.
    """
    numbers = [float(number) for number in flat]
    if not np.isfinite(numbers).all():
        raise ValueError("a coordinate that is no number")
    return tuple(round(min(max(number, 0.0), float(hw[1 - i % 2])), DECIMALS) for i, number in enumerate(numbers))


def equidistant(outline: Points, count: int) -> Points:
    """``count`` points at equal distances along a closed outline, from its first point on, clockwise on screen."""
    if _signed_area(outline) < 0:
        outline = np.roll(outline[::-1], 1, 0)
    closed = np.vstack([outline, outline[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.linspace(0, way[-1], count, endpoint=False)
    return np.column_stack([np.interp(at, way, closed[:, axis]) for axis in (0, 1)])


def rolled_onto(previous: Points, outline: Points) -> Points:
    """``outline``, beginning at the point that brings its points closest to those of ``previous``, one by one.

    Both are [N, 2] and run in the same direction. They are compared around their centres, so moving does not matter.
    """
    before, now = previous - previous.mean(0), outline - outline.mean(0)
    alike = [(before * np.roll(now, -shift, 0)).sum() for shift in range(len(now))]
    return np.roll(outline, -int(np.argmax(alike)), 0)


def polygon_iou(one: Points, other: Points) -> float:
    """The IoU of two polygons, counted on a grid; 0 if neither covers a cell."""
    low = np.minimum(one.min(0), other.min(0))
    extent = np.maximum(one.max(0), other.max(0)) - low
    scale = _SIDE / max(float(extent.max()), 1.0)
    width, height = (int(np.ceil(side * scale)) for side in extent)
    first, second = (filled((outline - low) * scale, (height, width)) for outline in (one, other))
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def box_of(outline: Points) -> Points:
    """The box around an outline: x1, y1, x2, y2 [4]."""
    return np.concatenate([outline.min(0), outline.max(0)])


def area(outline: Points) -> float:
    """The area in square pixels."""
    return abs(_signed_area(outline))


def _signed_area(outline: Points) -> float:
    """The area by the shoelace formula; above 0 if the outline runs clockwise on screen."""
    x, y = (outline - outline[0]).T  # small numbers keep their precision, also far from the picture's corner
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def filled(outline: Points, hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels, bool [H, W], whose centres lie inside: an odd number of the outline's sides passes to their left."""
    height, width = hw
    begin, end = outline, np.roll(outline, -1, 0)
    upper, lower = (np.where((begin[:, 1] > end[:, 1])[:, None], *pair) for pair in ((end, begin), (begin, end)))
    middle = np.arange(height)[:, None] + 0.5
    rows, sides = np.nonzero((upper[:, 1] <= middle) & (middle < lower[:, 1]))
    along = (rows + 0.5 - upper[sides, 1]) / (lower - upper)[sides, 1]
    x = upper[sides, 0] + along * (lower - upper)[sides, 0]
    passes = np.zeros((height, width + 1), np.uint8)  # only its parity counts, which an overflow keeps
    np.add.at(passes, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)), 1)
    np.cumsum(passes, 1, np.uint8, out=passes)
    passes &= 1
    return passes[:, :width].view(np.bool_)
