"""What tells whether a shape, a keyframe or a track of CVAT is still as it was, whoever gave it an id since."""

from collections.abc import Mapping
from typing import Any

from promptable.cvat.server.comparison import COMPARED_APART

SHAPE, TRACK = "shape", "track"


def keyframe_content(key: Mapping[str, Any]) -> tuple[Any, ...]:
    """Frame, outside, points in hundredths of a pixel, rotation."""
    return int(key["frame"]), bool(key["outside"]), _points(key), _rotation(key)


def shape_content(shape: Mapping[str, Any]) -> tuple[Any, ...]:
    """Frame, label, type, points in hundredths of a pixel, rotation."""
    return int(shape["frame"]), int(shape["label_id"]), shape["type"], _points(shape), _rotation(shape)


def content(item: Mapping[str, Any], kind: str) -> tuple[Any, ...]:
    """What tells shapes, or tracks, of a job apart; people may have edited other fields since."""
    if kind == SHAPE:
        return shape_content(item)
    return item["label_id"], tuple(sorted(map(keyframe_content, item["shapes"])))


def is_same(item: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether CVAT gives a shape or track as it gave it before, in every field."""
    return _all_of(item) == _all_of(other)


def _all_of(item: Mapping[str, Any]) -> tuple[object, ...]:
    fields = {name: value for name, value in item.items() if name not in COMPARED_APART}
    keys = [_all_of(key) for key in in_order(item)]
    return fields, keys, _points(item) if "points" in item else (), values(item)


def in_order(track: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The keyframes of a track by frame, none of a shape."""
    return sorted(track.get("shapes", ()), key=lambda key: int(key["frame"]))


def values(item: Mapping[str, Any]) -> set[tuple[int, str]]:
    """The attributes of a shape, track or keyframe: spec and value."""
    return {(one["spec_id"], str(one["value"])) for one in item["attributes"]}


class Written:
    """Shapes, or the keyframes of a track, as runs wrote them. ``in`` says whether one is still so.

    It is not where anybody moved, occluded or raised it, or gave it another value of an attribute.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[Any, ...], list[Mapping[int, str]]] = {}

    def add(self, one: Mapping[str, Any], held: Mapping[int, str]) -> None:
        """``held`` are the values of its attributes, those of earlier keyframes among them."""
        self._values.setdefault(_state(one), []).append(held)

    def __contains__(self, one: Mapping[str, Any]) -> bool:
        return any(
            all(held.get(spec, value) == value for spec, value in values(one))
            for held in self._values.get(_state(one), ())
        )


def _state(one: Mapping[str, Any]) -> tuple[Any, ...]:
    label = one.get("label_id")  # a keyframe has none
    return (*keyframe_content(one), label, one["type"], bool(one["occluded"]), int(one["z_order"]))


def _points(shape: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(round(float(number), 2) for number in shape["points"])


def _rotation(shape: Mapping[str, Any]) -> float:
    return round(float(shape.get("rotation") or 0), 2)
