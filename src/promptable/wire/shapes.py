"""The shapes in a tracker's requests and answers: rectangles, masks and polygons, with CVAT's flat ``points``."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from promptable.wire.answers import corners, finite, outline, unit
from promptable.wire.fields import as_numbers, as_object, as_xyxy, expected, part_inside
from promptable.wire.masks import (
    Mask,
    MaskCrop,
    check_rle,
    crop_to_polygon,
    crop_to_rle,
    crop_to_xyxy,
    mask_to_crop,
    polygon_to_mask,
    rle_to_mask,
)

MOST_POLYGON_POINTS = 20_000
MOST_RUNS = 4_000_000
"""Runs in a mask: a request of CVAT's 4 MiB default holds no more."""
LONGEST_RUN = 1e9
_SCORE_DECIMALS = 3


class ShapeType(StrEnum):
    RECTANGLE = "rectangle"
    MASK = "mask"
    POLYGON = "polygon"


@dataclass(frozen=True, eq=False)
class Shape:
    """``points`` of a rectangle: ordered x1, y1, x2, y2, float64 [4]; of a mask: run lengths and l, t, r, b, int64 [N];
    of a polygon: flat x, y of 3 or more points, float64 [N].

    ``outside`` means the same as in CVAT's tracks: the object is not in the picture, and the shape is the last one
    seen. ``score`` in [0, 1] is how sure the model is of a shape that it found; None for a shape that a person drew.
    """

    type: ShapeType
    points: NDArray[np.float64] | NDArray[np.int64]
    outside: bool = False
    score: float | None = None

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The box around the shape, in picture pixels."""
        match self.type:
            case ShapeType.RECTANGLE:
                left, top, right, bottom = self.points.tolist()
                return left, top, right, bottom
            case ShapeType.MASK:
                left, top, right, bottom = self.points[-4:].tolist()
                return left, top, right + 1, bottom + 1
            case ShapeType.POLYGON:
                xy = self.points.reshape(-1, 2)
                (left, top), (right, bottom) = xy.min(0).tolist(), xy.max(0).tolist()
                return left, top, right, bottom

    def to_xyxy(self, hw: tuple[int, int]) -> NDArray[np.float32] | None:
        """A rectangle's part inside a picture of ``hw``, float32 [4]; None if the rectangle is wholly outside."""
        return part_inside(self.points.astype(np.float32), hw)

    def to_mask(self, hw: tuple[int, int], field: str = "points") -> Mask | None:
        """A mask's or polygon's pixels in a picture of ``hw``; None if it has none there.

        Raises BadRequestError naming ``field`` for an outline too long, as ``polygon_to_mask``.
        """
        read = rle_to_mask if self.type is ShapeType.MASK else polygon_to_mask
        mask = read(self.points, hw, field)
        return mask if mask.any() else None

    def lies_in(self, hw: tuple[int, int]) -> bool:
        """Whether a mask's box or all points of a polygon are in a picture of ``hw``."""
        xy = np.reshape(self.points[-4:] if self.type is ShapeType.MASK else self.points, (-1, 2))
        last = int(self.type is ShapeType.MASK)  # a mask's box names its last column and row
        return bool((xy >= 0).all() and (xy + last <= hw[::-1]).all())


def shape_of_mask(mask: Mask, shape_type: ShapeType, tolerance: float = 0.0) -> Shape:
    """The mask, bool [H, W], not empty, as a shape of the type; ``tolerance`` in pixels is for polygons."""
    return shape_of_crop(mask_to_crop(mask), shape_type, tolerance)


def shape_of_crop(crop: MaskCrop, shape_type: ShapeType, tolerance: float = 0.0) -> Shape:
    """As ``shape_of_mask``, of a tight crop."""
    match shape_type:
        case ShapeType.RECTANGLE:
            return Shape(shape_type, crop_to_xyxy(crop).astype(np.float64))
        case ShapeType.MASK:
            return Shape(shape_type, crop_to_rle(crop))
        case ShapeType.POLYGON:
            return Shape(shape_type, np.array(crop_to_polygon(crop, tolerance)))


def lost_rectangle(last_xyxy: tuple[float, float, float, float], hw: tuple[int, int]) -> Shape:
    """The part of a lost object's last box inside a picture of ``hw``, marked ``outside``.

    For a box wholly outside the picture it is one pixel at the nearest edge.
    """
    height, width = hw
    x1, y1, x2, y2 = last_xyxy
    left, top = min(max(x1, 0.0), width - 1.0), min(max(y1, 0.0), height - 1.0)
    right, bottom = min(max(x2, left + 1), float(width)), min(max(y2, top + 1), float(height))
    return Shape(ShapeType.RECTANGLE, np.array([left, top, right, bottom]), outside=True)


def read_shape(field: str, value: object) -> Shape:
    """Read ``{"type", "points"}``, or the bare list of a rectangle's corners. Raises BadRequestError."""
    if isinstance(value, list):
        return _read_rectangle(field, value)
    fields = as_object(field, value)
    points = fields.get("points")
    match fields.get("type"):
        case "rectangle":
            _check_upright(field, fields.get("rotation"))
            return _read_rectangle(f"{field}.points", points)
        case "mask":
            return _read_mask(f"{field}.points", points)
        case "polygon":
            return _read_polygon(f"{field}.points", points)
        case other:
            raise expected(f"{field}.type", "rectangle, mask or polygon", other)


def write_shape(shape: Shape) -> dict[str, object]:
    """``{"type", "points"}`` for the answer. Raises ValueError for NaN, swapped corners or too few points.

    Two further keys are for scripts: ``"outside": true`` if the object is not in the picture, and the ``"score"`` of an
    object that was found. CVAT's server passes a tracker's shapes on unchanged (lambda_manager/views.py), and CVAT's
    editor reads only their points.
    """
    score = {} if shape.score is None else {"score": round(unit("score", shape.score), _SCORE_DECIMALS)}
    outside = {"outside": True} if shape.outside else {}
    return {"type": shape.type.value, "points": write_points(shape)} | score | outside


def write_points(shape: Shape) -> object:
    match shape.type:
        case ShapeType.RECTANGLE:
            return corners(shape.points)
        case ShapeType.MASK:
            return finite("mask", shape.points)
        case ShapeType.POLYGON:
            return outline(shape.points)


def _check_upright(field: str, rotation: object) -> None:
    """Raise BadRequestError for a rotated rectangle, which CVAT never sends to a tracker.

    Without its rotation the rectangle would cover another part of the picture.
    """
    if rotation not in (None, 0):
        raise expected(f"{field}.rotation", "0 (a polygon may lie as it likes)", rotation)


def _read_rectangle(field: str, value: object) -> Shape:
    xyxy = as_xyxy(field, as_numbers(field, value, most=4, least=4))
    return Shape(ShapeType.RECTANGLE, xyxy.astype(np.float64))


def _read_mask(field: str, value: object) -> Shape:
    return Shape(ShapeType.MASK, check_rle(as_numbers(field, value, most=MOST_RUNS, limit=LONGEST_RUN), field))


def _read_polygon(field: str, value: object) -> Shape:
    points = as_numbers(field, value, most=2 * MOST_POLYGON_POINTS, least=6)
    if points.size % 2:
        raise expected(field, "an even number of coordinates", value)
    return Shape(ShapeType.POLYGON, points)
