"""What becomes of something that a job holds, as a part of a write."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK

Item = dict[str, Any]
"""As ``propagate.journal.Write`` has it."""


def gone(one: Mapping[str, Any], number: int, kind: str = SHAPE) -> Item:
    """It is deleted, by the object ``number``."""
    return {"kind": kind, "object": number, "new": None, "before": one, "id": one["id"]}


def left_of(
    track: Mapping[str, Any], rest: Mapping[str, Any] | None, borders: Sequence[int], number: int
) -> tuple[str, Item]:
    """Action and item: a track of which another form takes frames, as ``rest_of`` has it."""
    whole = gone(track, number, TRACK)
    return ("delete", whole) if rest is None else ("update", {**whole, "new": rest, "own": [], "borders": borders})
