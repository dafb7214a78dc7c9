"""Finding what looks wrong among the objects of one label in a job."""

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
"""The kind of fault, the index of the object in ``Rows``, and a detail for people."""
_AT_ONCE = 256
"""Rows that are compared with all others at once, to bound memory."""


def check(rows: Rows, hw: NDArray[np.int64], shapes: Mapping[int, Mapping[str, Any]]) -> Iterator[Finding]:
    """The faults on single frames. ``hw`` [N, 2] are the pictures' heights and widths; ``shapes`` are CVAT's, by id."""
    yield from _tiny(rows)
    yield from _outside(rows, hw)
    yield from _doubles(rows, shapes)


def jumps(rows: Rows, frames: NDArray[np.int64]) -> Iterator[Finding]:
    """Tracks whose boxes on two consecutive frames hardly overlap; the index is that of the second box.

    ``frames`` [N] are the numbers of the job's frames.
    """
    tracks = np.flatnonzero(rows["is_track"])
    tracks = tracks[np.lexsort((rows["index"][tracks], rows["id"][tracks]))]
    before, after = rows[tracks[:-1]], rows[tracks[1:]]
    neighbours = (before["id"] == after["id"]) & (frames[after["index"]] - frames[before["index"]] == 1)
    overlaps = box_iou(before["box"], after["box"])
    for at in np.flatnonzero(neighbours & (overlaps < JUMP_IOU) & np.isfinite(after["box"][:, 0])):
        yield Kind.JUMPS, int(tracks[at + 1]), f"IoU {overlaps[at]:.2f} with the frame before"


def _tiny(rows: Rows) -> Iterator[Finding]:
    """Boxes that are too small; not of lines and points, which may be thin."""
    sides = rows["box"][:, 2:] - rows["box"][:, :2]
    for at in np.flatnonzero((sides.min(1) < TINY_SIDE) & np.isfinite(rows["area"])):
        yield Kind.TINY, int(at), f"{sides[at, 0]:.2f} x {sides[at, 1]:.2f}"


def _outside(rows: Rows, hw: NDArray[np.int64]) -> Iterator[Finding]:
    wh = np.tile(hw[rows["index"], ::-1], 2)
    beyond = np.maximum(-rows["box"], rows["box"] - wh).max(1)
    for at in np.flatnonzero(beyond > BEYOND):
        yield Kind.OUTSIDE, int(at), f"{beyond[at]:.2f} pixels beyond {wh[at, 0]} x {wh[at, 1]}"


def _doubles(rows: Rows, shapes: Mapping[int, Mapping[str, Any]]) -> Iterator[Finding]:
    """Pairs of objects of a frame that overlap nearly completely; the index is that of the later one."""
    order = np.argsort(rows["index"], kind="stable")
    cuts = np.flatnonzero(np.diff(rows["index"][order])) + 1
    for on_frame in np.split(order, cuts):
        for one, other in _alike(rows[on_frame]):
            pair = on_frame[one], on_frame[other]
            overlap = _iou(rows[pair[0]], rows[pair[1]], shapes)
            if overlap > DOUBLE_IOU:
                yield Kind.DOUBLES, int(pair[1]), f"IoU {overlap:.2f} with {_named(rows[pair[0]])}"


def _alike(rows: Rows) -> Iterator[tuple[int, int]]:
    """Index pairs of the rows of a frame that may overlap so far.

    Their boxes meet, and their areas are similar: an IoU is never above the ratio of the smaller area to the larger.
    """
    for first in range(0, len(rows) - 1, _AT_ONCE):
        some = rows[first : first + _AT_ONCE, None]
        meet = box_iou(some["box"], rows["box"]) > 0
        smaller, larger = np.minimum(some["area"], rows["area"]), np.maximum(some["area"], rows["area"])
        for one, other in np.argwhere(meet & (smaller > DOUBLE_IOU * larger)):
            if first + one < other:
                yield first + int(one), int(other)


def _iou(one: np.void, other: np.void, shapes: Mapping[int, Mapping[str, Any]]) -> float:
    """The IoU of two rectangles, polygons or masks; for tracks and other types, that of the boxes."""
    items = [None if row["is_track"] else shapes[int(row["id"])] for row in (one, other)]
    if all(item is not None and item["type"] in FORMS for item in items):
        return iou(*(position_of(item) for item in items if item is not None))
    return float(box_iou(one["box"], other["box"]))


def _named(row: np.void) -> str:
    return f"{'track' if row['is_track'] else 'shape'} {row['id']}"
