"""Shapes whose points make no shape, though CVAT stores them: they can neither be followed nor compared."""

from collections.abc import Mapping
from typing import Any

from promptable.cvat.geometry.extent import extent_of
from promptable.cvat.geometry.position import FORMS, Position
from promptable.cvat.propagate.content import TRACK


class BrokenShapeError(Exception):
    """A shape or track (``item``, of ``kind``) is broken on a frame. The message says why."""

    def __init__(self, kind: str, item: Mapping[str, Any], frame: int, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.item = item
        self.frame = frame


def check_shapes(kind: str, item: Mapping[str, Any]) -> None:
    """Raise BrokenShapeError if a shape, or a visible keyframe of a track, is broken."""
    shapes = item["shapes"] if kind == TRACK else [item]
    for shape in shapes:
        why = None if shape["outside"] else _why_broken(shape) or _why_mixed(shape, shapes[0]["type"])
        if why is not None:
            raise BrokenShapeError(kind, item, int(shape["frame"]), why)


def is_valid(position: Position) -> bool:
    """Whether the points of a position make a rectangle, a polygon or a mask."""
    shape = {"type": position.form, "points": position.points, "rotation": position.rotation}
    return position.form in FORMS and _why_broken(shape) is None


def _why_broken(shape: Mapping[str, Any]) -> str | None:
    try:
        extent_of(shape)
    except ValueError as error:
        return str(error)
    return None


def _why_mixed(shape: Mapping[str, Any], form: str) -> str | None:
    return None if shape["type"] == form else f"a keyframe of type {shape['type']} in a track of type {form}"
