"""Whether an annotation on the server still is what was sent: CVAT rounds, and adds fields of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

COMPARED_APART = ("id", "attributes", "points", "shapes")
"""Fields that are not compared as they are: a keyframe gets a new id at each write, and CVAT rounds points."""


def is_as_sent(sent: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[int, str]) -> bool:
    """Whether nobody has moved, relabelled or edited a shape, a tag, a keyframe, or a track apart from its keyframes.

    ``defaults`` are the default values of the label's attributes by spec id: an attribute that was not sent must have
    its default.
    """
    if any(now.get(field) != sent[field] for field in sent if field not in COMPARED_APART):
        return False
    if "points" in sent and rounded(now["points"]) != rounded(sent["points"]):
        return False
    expected = {**defaults, **values(sent)}
    return all(expected.get(spec) == value for spec, value in values(now).items())


def rounded(points: Iterable[float]) -> tuple[float, ...]:
    """Coordinates in hundredths of a pixel, as they are sent."""
    return tuple(round(float(number), 2) for number in points)


def values(one: Mapping[str, Any]) -> dict[int, str]:
    """The attribute values of a shape, tag, track or keyframe, by spec id."""
    return {given["spec_id"]: str(given["value"]) for given in one["attributes"]}


def defaults_of(specs: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The default values of a label's attributes, by spec id; ``specs`` as CVAT lists them."""
    return {spec["id"]: str(spec["default_value"]) for spec in specs}
