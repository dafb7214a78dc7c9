"""What is unlikely in the course of an object, frame by frame: lost, back, jumped, grown, shrunk, or not sure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.interpolation import Points
from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.position import MASK, Position
from promptable.cvat.tracking import UNSURE

_JUMP_IOU = 0.3
_GROWN, _SHRUNK = 1.5, 0.5
_SPECKS = 0.02
"""The share of a mask's pixels that may lie beyond each side of its box."""

Course = Iterable[tuple[int, Position | None]]
"""Of one object: frame and position, in the order in which it was followed; None where it was lost."""


@dataclass(frozen=True)
class Doubt:
    """Something about an object on a frame that is worth a look.

    ``box`` is where it is, or was last: x1, y1, x2, y2. ``sure`` in [0, 1] is how much speaks for it nevertheless: the
    IoU with the box before, the ratio of sizes, the tracker's score; 0 of one that is lost. ``before`` is the frame on
    which it was seen last, None at its first.
    """

    frame: int
    what: str
    box: tuple[float, ...]
    sure: float = 0.0
    before: int | None = None


def doubts(course: Course) -> Iterator[Doubt]:
    """All that is worth a look, at most one thing a frame."""
    stretch: Doubt | None = None  # the least sure of those frames in a row on which the tracker was not sure
    for doubt, is_unsure in _frames(course):
        if stretch is not None and not is_unsure:
            yield stretch
            stretch = None
        if doubt is not None and is_unsure:
            stretch = doubt if stretch is None or doubt.sure < stretch.sure else stretch
        elif doubt is not None:
            yield doubt
    if stretch is not None:
        yield stretch


def _frames(course: Course) -> Iterator[tuple[Doubt | None, bool]]:
    """The doubt about each frame, if any, and whether it is only that the tracker was not sure."""
    seen: tuple[int, Position] | None = None
    was_lost = False
    for frame, position in course:
        before = None if seen is None else seen[0]
        if position is None:
            yield (None if was_lost or seen is None else Doubt(frame, "lost", _corners(seen[1]), 0.0, before)), False
            was_lost = True
            continue
        change = ("back", position.score) if was_lost else None if seen is None else _change(seen[1], position)
        if change is not None:
            yield Doubt(frame, change[0], _corners(position), change[1], before), False
        elif position.score < UNSURE:
            yield Doubt(frame, "unsure", _corners(position), position.score, before), True
        else:
            yield None, False
        seen, was_lost = (frame, position), False


def _change(last: Position, position: Position) -> tuple[str, float] | None:
    """What is unlikely between neighbouring frames: boxes of IoU below 0.3, or half as large or half as large again."""
    boxes = _box(last), _box(position)
    iou = float(box_iou(*boxes))
    if iou < _JUMP_IOU:
        return "jumped", iou
    before, now = (float((box[2:] - box[:2]).prod()) for box in boxes)
    if now > before * _GROWN:
        return "grew", before / now
    return ("shrank", now / before) if now < before * _SHRUNK else None


def _box(position: Position) -> Points:
    """Around it [4]; of a mask around most of it, since a speck of it may lie far away."""
    if position.form != MASK:
        return position.box
    pixels, left, top = run_lengths.decode(position.points)
    (x1, x2), (y1, y2) = (_most(pixels.sum(axis)) for axis in (0, 1))
    return np.array([left + x1, top + y1, left + x2, top + y2], np.float64)


def _most(counts: NDArray[np.int64]) -> tuple[int, int]:
    """From where to where the pixels of columns or rows are, but for a few at each end."""
    before = counts.cumsum()
    few = _SPECKS * before[-1]
    return int(np.searchsorted(before, few, "right")), int(np.searchsorted(before, before[-1] - few)) + 1


def _corners(position: Position) -> tuple[float, ...]:
    return tuple(position.box.tolist())
