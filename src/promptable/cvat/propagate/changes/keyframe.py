"""A keyframe of a track, as CVAT's REST API takes it."""

from collections.abc import Mapping
from typing import Any

from promptable.cvat.geometry.outlines import DECIMALS
from promptable.cvat.geometry.position import Position


def keyframe(held: Mapping[str, Any], frame: int, position: Position, *, outside: bool = False) -> dict[str, Any]:
    """A keyframe without attributes, at a position, with the ``occluded`` and ``z_order`` of ``held``."""
    return {
        "type": position.form,
        "frame": frame,
        "points": [round(number, DECIMALS) for number in position.points],
        "rotation": position.rotation,
        "outside": outside,
        "occluded": bool(held["occluded"]),
        "z_order": held["z_order"],
        "attributes": [],
    }
