"""What looks wrong among the objects of one label in a job: positions in ``ROW``s, and what to say of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import FORMS, position_of
from promptable.cvat.stats.faults import BEYOND, DOUBLE_IOU, JUMP_IOU, TINY_SIDE, Kind
from promptable.cvat.stats.objects import Rows

Finding = tuple[Kind, int, str]
"""What is wrong, with which row, and a detail."""
_AT_ONCE = 256


def check(rows: Rows, hw: NDArray[np.int64], shapes: Mapping[int, Mapping[str, Any]]) -> Iterator[Finding]:
    """All that is wrong on single frames. ``hw`` [N, 2] are the pictures' by index; ``shapes`` are CVAT's by id."""
    yield from _tiny(rows)
    yield from _outside(rows, hw)
    yield from _doubles(rows, shapes)


def jumps(rows: Rows, frames: NDArray[np.int64]) -> Iterator[Finding]:
    """Tracks whose boxes on two neighbouring of the ``frames`` [N] hardly overlap; the row is that of the second."""
    tracks = np.flatnonzero(rows["is_track"])
    tracks = tracks[np.lexsort((rows["index"][tracks], rows["id"][tracks]))]
    before, after = rows[tracks[:-1]], rows[tracks[1:]]
    neighbours = (before["id"] == after["id"]) & (frames[after["index"]] - frames[before["index"]] == 1)
    overlaps = box_iou(before["box"], after["box"])
    for at in np.flatnonzero(neighbours & (overlaps < JUMP_IOU) & np.isfinite(after["box"][:, 0])):
        yield Kind.JUMPS, int(tracks[at + 1]), f"IoU {overlaps[at]:.2f} with the frame before"


def _tiny(rows: Rows) -> Iterator[Finding]:
    """Lines and points may be thin."""
    sides = rows["box"][:, 2:] - rows["box"][:, :2]
    for at in np.flatnonzero((sides.min(1) < TINY_SIDE) & np.isfinite(rows["area"])):
        yield Kind.TINY, int(at), f"{sides[at, 0]:.2f} x {sides[at, 1]:.2f}"


def _outside(rows: Rows, hw: NDArray[np.int64]) -> Iterator[Finding]:
    wh = np.tile(hw[rows["index"], ::-1], 2)
    beyond = np.maximum(-rows["box"], rows["box"] - wh).max(1)
    for at in np.flatnonzero(beyond > BEYOND):
        yield Kind.OUTSIDE, int(at), f"{beyond[at]:.2f} pixels beyond {wh[at, 0]} x {wh[at, 1]}"


def _doubles(rows: Rows, shapes: Mapping[int, Mapping[str, Any]]) -> Iterator[Finding]:
    """The later one of each pair."""
    order = np.argsort(rows["index"], kind="stable")
    cuts = np.flatnonzero(np.diff(rows["index"][order])) + 1
    for on_frame in np.split(order, cuts):
        for one, other in _alike(rows[on_frame]):
            pair = on_frame[one], on_frame[other]
            overlap = _iou(rows[pair[0]], rows[pair[1]], shapes)
            if overlap > DOUBLE_IOU:
                yield Kind.DOUBLES, int(pair[1]), f"IoU {overlap:.2f} with {_named(rows[pair[0]])}"


def _alike(rows: Rows) -> Iterator[tuple[int, int]]:
    """Pairs that meet and are of one size: no IoU is above the share of the smaller area in the larger."""
    for first in range(0, len(rows) - 1, _AT_ONCE):
        some = rows[first : first + _AT_ONCE, None]
        meet = box_iou(some["box"], rows["box"]) > 0
        smaller, larger = np.minimum(some["area"], rows["area"]), np.maximum(some["area"], rows["area"])
        for one, other in np.argwhere(meet & (smaller > DOUBLE_IOU * larger)):
            if first + one < other:
                yield first + int(one), int(other)


def _iou(one: np.void, other: np.void, shapes: Mapping[int, Mapping[str, Any]]) -> float:
    """As they are of boxes, polygons and masks; of tracks and other forms the boxes'."""
    items = [None if row["is_track"] else shapes[int(row["id"])] for row in (one, other)]
    if all(item is not None and item["type"] in FORMS for item in items):
        return iou(*(position_of(item) for item in items if item is not None))
    return float(box_iou(one["box"], other["box"]))


def _named(row: np.void) -> str:
    return f"{'track' if row['is_track'] else 'shape'} {row['id']}"
