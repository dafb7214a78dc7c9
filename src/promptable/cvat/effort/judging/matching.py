"""Finding what runs wrote on a frame among its annotations now: by id, then one to one by overlap."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptable.cvat.effort.judging.verdicts import place_of
from promptable.cvat.effort.judging.written import Written
from promptable.cvat.geometry.overlap import iou

LEAST_IOU = 0.5
"""The least IoU of two annotations of one object."""
Shape = Mapping[str, Any]
Pair = tuple[Written | None, Shape | None]


def matched(written: Sequence[Written], now: Sequence[Shape]) -> list[Pair]:
    """Each written annotation with what it is now, None if it is gone; then None with each added annotation.

    All are shapes, or all tags, of one frame of a job. They are matched by overlap where ids differ: ids survive edits
    in CVAT's editor, but not an import.
    """
    by_id = {one["id"]: one for one in now}
    pairs: list[Pair] = [(one, by_id[one.server_id]) for one in written if one.server_id in by_id]
    kept = {one.server_id for one, _ in pairs if one is not None}
    gone = [one for one in written if one.server_id not in kept]
    rest = [one for one in now if one["id"] not in kept]
    chosen = one_to_one(len(gone), len(rest), lambda i, j: _likeness(gone[i].payload, rest[j]))
    taken = set(chosen.values())
    pairs += [(one, rest[chosen[i]] if i in chosen else None) for i, one in enumerate(gone)]
    return pairs + [(None, one) for j, one in enumerate(rest) if j not in taken]


def _likeness(before: Shape, now: Shape) -> tuple[bool, float]:
    """Whether both have the same label, and their IoU; the IoU is 0 if they are different objects."""
    same = bool(before["label_id"] == now["label_id"])
    if "points" not in before:
        return same, float(same)
    one, other = place_of(before), place_of(now)
    overlap = 0.0 if one is None or other is None else iou(one, other)
    return same, overlap if overlap >= LEAST_IOU else 0.0


def one_to_one(count: int, others: int, likeness: Callable[[int, int], tuple[int, float]]) -> dict[int, int]:
    """Pairs of indices, chosen greedily by ``likeness``; pairs whose second number is 0 are never chosen.

    Each index is in one pair at most. Returns the second index of each pair by the first.
    """
    pairs = sorted(((likeness(i, j), i, j) for i in range(count) for j in range(others)), reverse=True)
    chosen: dict[int, int] = {}
    for (_, overlap), i, j in pairs:
        if overlap and i not in chosen and j not in chosen.values():
            chosen[i] = j
    return chosen
