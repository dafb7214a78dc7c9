"""The bounding box and the area of a shape of any type that CVAT has."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.outlines import area, points_of
from promptable.cvat.geometry.position import MASK, POLYGON, RECTANGLE, Position

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Extent:
    """``box`` is x1, y1, x2, y2 in continuous picture pixels; ``area`` is in square pixels, None if there is none.

    Lines, points and skeletons have no area.
    """

    box: Box
    area: float | None

    @property
    def sides(self) -> tuple[float, float]:
        """Width and height."""
        left, top, right, bottom = self.box
        return right - left, bottom - top


def extent_of(shape: Mapping[str, Any]) -> Extent:
    """The extent of a shape, or of a keyframe of a track, as CVAT's REST API gives it.

    Raises ValueError, which says why, for a broken shape: CVAT's server stores nearly anything that scripts send.
    """
    if shape["type"] == "skeleton":
        return _skeleton(shape)
    read = _READERS.get(shape["type"])
    if read is None:
        raise ValueError(f"a shape of type {shape['type']!r}")
    return read(_numbers(shape["points"]), _numbers([shape.get("rotation") or 0])[0])


def _numbers(points: Sequence[Any]) -> list[float]:
    """The coordinates as floats. Raises ValueError if one is not a finite number."""
    try:
        numbers = [float(number) for number in points]
    except TypeError:
        raise ValueError("a coordinate that is no number") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a coordinate that is no number")
    return numbers


def _rectangle(points: Sequence[float], rotation: float) -> Extent:
    left, top, right, bottom = _of_length(points, 4)
    if right < left or bottom < top:
        raise ValueError("a rectangle whose right is left of its left, or bottom above its top")
    box = Position(RECTANGLE, (left, top, right, bottom), rotation).box.tolist()
    return Extent(tuple(box), (right - left) * (bottom - top))


def _ellipse(points: Sequence[float], rotation: float) -> Extent:
    """The points of an ellipse are its centre, then the x of its right end and the y of its top."""
    x, y, right, top = _of_length(points, 4)
    across, down, turn = right - x, y - top, math.radians(rotation)
    half_width = math.hypot(across * math.cos(turn), down * math.sin(turn))
    half_height = math.hypot(across * math.sin(turn), down * math.cos(turn))
    box = (x - half_width, y - half_height, x + half_width, y + half_height)
    return Extent(box, math.pi * abs(across * down))


def _polygon(points: Sequence[float], _: float) -> Extent:
    if len(points) < 6:
        raise ValueError(f"an outline of {len(points)} numbers")
    return Extent(_around(points), area(points_of(points)))


def _mask(points: Sequence[float], _: float) -> Extent:
    left, top, right, bottom = points[-4:]
    return Extent((left, top, right + 1, bottom + 1), run_lengths.area(points))


def _cuboid(points: Sequence[float], _: float) -> Extent:
    box = _around(_of_length(points, 16))
    return Extent(box, (box[2] - box[0]) * (box[3] - box[1]))


def _line(points: Sequence[float], _: float) -> Extent:
    return Extent(_around(points), None)


def _skeleton(shape: Mapping[str, Any]) -> Extent:
    """Around the points that are shown, as COCO's keypoints that nobody has seen lie at 0, 0; without any, all."""
    elements = shape.get("elements") or ()
    shown = [element for element in elements if not element.get("outside")]
    return Extent(_around([point for element in shown or elements for point in _numbers(element["points"])]), None)


def _around(points: Sequence[float]) -> Box:
    """The box around flat x, y, x, y ... Raises ValueError for no points, and for an odd number of coordinates."""
    if not points or len(points) % 2:
        raise ValueError(f"{len(points)} numbers, which are no points")
    xs, ys = points[0::2], points[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _of_length(points: Sequence[float], count: int) -> Sequence[float]:
    """The points. Raises ValueError if they are not ``count`` numbers."""
    if len(points) != count:
        raise ValueError(f"{len(points)} numbers where there should be {count}")
    return points


_READERS: Mapping[str, Callable[[Sequence[float], float], Extent]] = {
    RECTANGLE: _rectangle,
    "ellipse": _ellipse,
    POLYGON: _polygon,
    MASK: _mask,
    "cuboid": _cuboid,
    "polyline": _line,
    "points": _line,
}
