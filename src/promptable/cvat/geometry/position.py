"""Where an object is on a frame, in CVAT's terms."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from promptable.cvat.detection import MASK as MASK
from promptable.cvat.detection import POLYGON as POLYGON
from promptable.cvat.detection import RECTANGLE as RECTANGLE
from promptable.cvat.geometry import interpolation, run_lengths
from promptable.cvat.geometry.interpolation import Points
from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.outlines import DECIMALS, box_of, moved_inside, points_of

FORMS = (RECTANGLE, POLYGON, MASK)
_FRAME = itemgetter("frame")
_SAME_BOX = 0.5
"""The least box IoU of two annotations of one object."""


@dataclass(frozen=True)
class Position:
    """A rectangle, polygon or mask (``form``), whose ``points`` are as CVAT has them, in picture pixels.

    ``rotation`` is a rectangle's, in degrees clockwise around its centre. ``score`` in [0, 1] is the tracker's; it is 1
    for what people drew, and if the tracker gives none.
    """

    form: str
    points: tuple[float, ...]
    rotation: float = 0.0
    score: float = 1.0

    @property
    def box(self) -> Points:
        """The box around it: x1, y1, x2, y2 [4], in continuous picture pixels."""
        if self.form == MASK:
            left, top, right, bottom = self.points[-4:]
            return np.array([left, top, right + 1, bottom + 1], np.float64)
        if self.form == RECTANGLE and not self.rotation:
            return np.array(self.points, np.float64)
        return box_of(self.outline)

    @property
    def outline(self) -> Points:
        """The corners [N, 2] of a polygon or rectangle, in continuous picture pixels; a mask has none."""
        if self.form == POLYGON:
            return points_of(self.points)
        left, top, right, bottom = self.points
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
        turn = np.deg2rad(self.rotation)
        cosine, sine, centre = np.cos(turn), np.sin(turn), corners.mean(0)
        return np.asarray(centre + (corners - centre) @ np.array([[cosine, sine], [-sine, cosine]]))

    def overlaps(self, other: "Position") -> bool:
        """Whether both may be one object: their boxes have an IoU of at least 0.5."""
        return bool(box_iou(self.box, other.box) >= _SAME_BOX)

    @property
    def upright(self) -> "Position":
        """The same position; for a rotated rectangle the upright box around it."""
        return replace(self, points=tuple(self.box.tolist()), rotation=0.0) if self.rotation else self


class Placed(NamedTuple):
    """An object of a label at a position on a frame."""

    label_id: int
    position: Position

    def is_double(self, label_id: int, position: Position) -> bool:
        """Whether an object of a label at a position may be the same one: same label, overlapping boxes."""
        return self.label_id == label_id and self.position.overlaps(position)


def position_of(shape: Mapping[str, Any]) -> Position:
    """The position of a shape, or of a keyframe of a track, as CVAT's REST API gives it."""
    return Position(shape["type"], tuple(float(n) for n in shape["points"]), float(shape.get("rotation") or 0))


def position_at(track: Mapping[str, Any], frame: int) -> Position | None:
    """Where CVAT shows a track on a frame; None if it is outside, or has not begun.

    Between two keyframes of different forms, which CVAT stores but cannot show, it stays where it was.
    """
    keys = sorted(track["shapes"], key=_FRAME)
    place = bisect_right(keys, frame, key=_FRAME)
    if not place or keys[place - 1]["outside"]:
        return None
    before, after = keys[place - 1], keys[place : place + 1]
    left = position_of(before)
    if before["frame"] == frame or not after or left.form == MASK or left.form != after[0]["type"]:
        return left
    return _between(left, position_of(after[0]), (frame - before["frame"]) / (after[0]["frame"] - before["frame"]))


def _between(left: Position, right: Position, offset: float) -> Position:
    if left.form == POLYGON:
        points = interpolation.polygon(left.outline, right.outline, offset)
        return Position(POLYGON, tuple(np.round(points, DECIMALS).ravel().tolist()))
    box = interpolation.rectangle(np.array(left.points), np.array(right.points), offset)
    turn = interpolation.rotation(left.rotation, right.rotation, offset)
    return Position(RECTANGLE, tuple(np.round(box, DECIMALS).tolist()), round(turn, DECIMALS))


def read_answer(shape: Mapping[str, Any] | None, hw: tuple[int, int]) -> Position | None:
    """The position in a tracker's answer, clipped to a picture of ``hw``; None if the object is lost.

    Raises ValueError for a shape that cannot be read.
    """
    if shape is None or shape.get("outside"):
        return None
    form, numbers, score = shape["type"], shape["points"], float(shape.get("score", 1.0))
    if form not in FORMS or not np.isfinite(numbers).all():
        raise ValueError(f"a shape of type {form!r}")
    if not 0 <= score <= 1:
        raise ValueError(f"a score of {score}")
    if form == MASK:
        points = run_lengths.encode(*run_lengths.clipped(*run_lengths.decode(numbers), hw))
        return Position(MASK, points, score=score) if points else None
    position = Position(form, moved_inside(numbers, hw), score=score)
    left, top, right, bottom = position.box
    return position if left < right and top < bottom else None
