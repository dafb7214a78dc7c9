"""The items of writes that delete or shorten an annotation."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK

Item = dict[str, Any]
"""An item of a ``propagate.journal.Write``."""
Change = tuple[str, Item]
"""The action (create, update or delete) and item of a change in a job."""


def deleted(one: Mapping[str, Any], number: int, kind: str = SHAPE) -> Item:
    """The item that deletes a shape or track, written for the object ``number``."""
    return {"kind": kind, "object": number, "new": None, "before": one, "id": one["id"]}


def shortened(track: Mapping[str, Any], rest: Mapping[str, Any] | None, borders: Sequence[int], number: int) -> Change:
    """The change that leaves only ``rest`` of a track, with new keyframes on the frames ``borders``.

    Both are ``handover.rest_of``'s. The track is deleted if ``rest`` is None.
    """
    item = deleted(track, number, TRACK)
    return ("delete", item) if rest is None else ("update", {**item, "new": rest, "own": [], "borders": borders})
