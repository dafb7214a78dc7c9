"""Comparing shapes, keyframes and tracks of CVAT by their content: ids change when something is stored again."""

from collections.abc import Mapping
from typing import Any

from promptable.cvat.server.comparison import COMPARED_APART, rounded, values

SHAPE, TRACK = "shape", "track"


def keyframe_content(key: Mapping[str, Any]) -> tuple[Any, ...]:
    """Frame, outside, points in hundredths of a pixel, rotation."""
    return int(key["frame"]), bool(key["outside"]), rounded(key["points"]), _rotation(key)


def content(item: Mapping[str, Any], kind: str) -> tuple[Any, ...]:
    """What identifies a shape, or a track, within its job; not its attributes, which people may have edited."""
    if kind == SHAPE:
        return int(item["frame"]), int(item["label_id"]), item["type"], rounded(item["points"]), _rotation(item)
    return item["label_id"], tuple(sorted(map(keyframe_content, item["shapes"])))


def is_same(item: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two shapes or tracks, as CVAT gives them, are equal in every field but their ids."""
    return _all_fields(item) == _all_fields(other)


def _all_fields(item: Mapping[str, Any]) -> tuple[object, ...]:
    fields = {name: value for name, value in item.items() if name not in COMPARED_APART}
    keys = [_all_fields(key) for key in in_order(item)]
    return fields, keys, rounded(item["points"]) if "points" in item else (), values(item)


def in_order(track: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The keyframes of a track by frame; none for a shape."""
    return sorted(track.get("shapes", ()), key=lambda key: int(key["frame"]))


def _rotation(shape: Mapping[str, Any]) -> float:
    return round(float(shape.get("rotation") or 0), 2)
