"""What tells whether a shape, a keyframe or a track of CVAT is still as it was, whoever gave it an id since."""

from collections.abc import Mapping
from typing import Any

SHAPE, TRACK = "shape", "track"


def keyframe_content(key: Mapping[str, Any]) -> tuple[Any, ...]:
    """Frame, outside, points in hundredths of a pixel, rotation."""
    return int(key["frame"]), bool(key["outside"]), _points(key), _rotation(key)


def shape_content(shape: Mapping[str, Any]) -> tuple[Any, ...]:
    """Frame, label, type, points in hundredths of a pixel, rotation."""
    return int(shape["frame"]), int(shape["label_id"]), shape["type"], _points(shape), _rotation(shape)


def content(item: Mapping[str, Any], kind: str) -> tuple[Any, ...]:
    """What tells shapes, or tracks, of a job apart."""
    if kind == SHAPE:
        return shape_content(item)
    return item["label_id"], tuple(sorted(map(keyframe_content, item["shapes"])))


def is_same(item: Mapping[str, Any], other: Mapping[str, Any], kind: str) -> bool:
    """Whether CVAT gives a shape or track as it gave it before."""
    same = item["group"] == other["group"] and content(item, kind) == content(other, kind)
    return same and values(item) == values(other)


def values(item: Mapping[str, Any]) -> set[tuple[int, str]]:
    """The attributes of a shape or track: spec and value."""
    return {(one["spec_id"], str(one["value"])) for one in item["attributes"]}


def _points(shape: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(round(float(number), 2) for number in shape["points"])


def _rotation(shape: Mapping[str, Any]) -> float:
    return round(float(shape.get("rotation") or 0), 2)
