"""What a job holds now, beside what a run wrote into it or found there."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.propagate.content import SHAPE, TRACK, content, is_same, values

Item = Mapping[str, Any]
"""A part of a write, as ``propagate.journal.Write`` has it."""


class Held:
    """The shapes and tracks of a job."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        """``held`` as ``JobAnnotations.read`` has it."""
        self.by_id = {(kind, one["id"]): one for kind in (SHAPE, TRACK) for one in held[f"{kind}s"]}

    def now(self, item: Item) -> Mapping[str, Any] | None:
        """The shape or track of an item that has an id, where it still is."""
        return self.by_id.get((item["kind"], item["id"]))

    def is_as_written(self, item: Item) -> bool:
        """Whether an item is there as a run wrote it, or gone as it was to be; CVAT may have added attributes."""
        now, new = self.now(item), item["new"]
        if new is None:
            return now is None
        if now is None or now["group"] != new["group"] or not values(new) <= values(now):
            return False
        return content(now, item["kind"]) == content(new, item["kind"])

    def is_as_before(self, item: Item) -> bool:
        """Whether an item is there as a run found it."""
        now = self.now(item)
        return now is not None and is_same(item["before"], now, item["kind"])

    def highest_ids(self) -> dict[str, int]:
        """By kind, 0 without any."""
        return {kind: max((number for of, number in self.by_id if of == kind), default=0) for kind in (SHAPE, TRACK)}

    def later_than(self, ids: Mapping[str, int]) -> dict[tuple[str, object], list[int]]:
        """Ids above ``ids``, by kind and content."""
        found: dict[tuple[str, object], list[int]] = {}
        for (kind, number), one in self.by_id.items():
            if number > ids[kind]:
                found.setdefault((kind, content(one, kind)), []).append(number)
        return found


def by_kind(items: Sequence[Item], key: str) -> dict[str, list[Any]]:
    """What ``JobAnnotations.change`` takes: ``key`` (new or before) of the items."""
    return {f"{kind}s": [item[key] for item in items if item["kind"] == kind] for kind in (SHAPE, TRACK)}
