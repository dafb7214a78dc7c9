"""What a job holds now, beside what a run wrote into it or found there."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.content import SHAPE, TRACK, content, in_order, is_same
from promptable.cvat.server.comparison import defaults_of, is_as_sent, values

Item = Mapping[str, Any]
"""A part of a write, as ``propagate.journal.Write`` has it."""
Defaults = Mapping[int, Mapping[int, str]]
"""The values of attributes where nobody says others, by label and spec."""


def defaults_in(client: Any, task: int) -> Defaults:
    """Those of a task's labels. ``client`` is cvat-sdk's. Raises CvatError."""
    return {label["id"]: defaults_of(label["attributes"]) for label in listed(client, task)}


class Held:
    """The shapes and tracks of a job."""

    def __init__(self, held: Mapping[str, Any], defaults: Defaults) -> None:
        """``held`` as ``JobAnnotations.read`` has it."""
        self._defaults = defaults
        self.by_id = {(kind, one["id"]): one for kind in (SHAPE, TRACK) for one in held[f"{kind}s"]}

    def now(self, item: Item) -> Mapping[str, Any] | None:
        """The shape or track of an item that has an id, where it still is."""
        return self.by_id.get((item["kind"], item["id"]))

    def is_as_written(self, item: Item) -> bool:
        """Whether an item is there as a run wrote it, or gone as it was to be."""
        now, new = self.now(item), item["new"]
        if new is None or now is None:
            return new is now
        return self.is_untouched(new, now)

    def is_untouched(self, new: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether nobody has edited anything of what was sent, a track's keyframes among it.

        CVAT adds attributes to a keyframe: those of the one before, or the label's defaults.
        """
        held = dict(self._defaults.get(new["label_id"], {}))
        sent_keys, keys = in_order(new), in_order(now)
        if not is_as_sent(new, now, held) or len(sent_keys) != len(keys):
            return False
        for sent, key in zip(sent_keys, keys, strict=True):
            if not is_as_sent(sent, key, held):
                return False
            held |= values(sent)
        return True

    def is_as_before(self, item: Item) -> bool:
        """Whether an item is there as a run found it."""
        now = self.now(item)
        return now is not None and is_same(item["before"], now)

    def highest_ids(self) -> dict[str, int]:
        """By kind, 0 without any."""
        return {kind: max((number for of, number in self.by_id if of == kind), default=0) for kind in (SHAPE, TRACK)}

    def later_than(self, ids: Mapping[str, int]) -> dict[tuple[str, object], list[int]]:
        """Ids above ``ids``, by kind and content, in order."""
        found: dict[tuple[str, object], list[int]] = {}
        for (kind, number), one in sorted(self.by_id.items(), key=itemgetter(0)):
            if number > ids[kind]:
                found.setdefault((kind, content(one, kind)), []).append(number)
        return found


def storable(items: Sequence[Item], key: str, defaults: Defaults) -> dict[str, list[Any]]:
    """What ``JobAnnotations.change`` takes to store ``key`` (new or before) of items, as far as the task still has
    their labels and attributes: CVAT refuses a request with any that it lacks."""
    known = [item for item in items if has_label(item, key, defaults)]
    return by_kind([{**item, key: _without_lost(item[key], defaults)} for item in known], key)


def has_label(item: Item, key: str, defaults: Defaults) -> bool:
    """Whether the task still has the label of an item's ``key``."""
    return item[key]["label_id"] in defaults


def _without_lost(one: Mapping[str, Any], defaults: Defaults) -> dict[str, Any]:
    """A shape, or a track and its keyframes, without the attributes that its label no longer has."""
    specs = defaults[one["label_id"]]

    def kept(part: Mapping[str, Any]) -> dict[str, Any]:
        return {**part, "attributes": [value for value in part["attributes"] if value["spec_id"] in specs]}

    return kept(one) | ({"shapes": [kept(key) for key in one["shapes"]]} if "shapes" in one else {})


def by_kind(items: Sequence[Item], key: str) -> dict[str, list[Any]]:
    """What ``JobAnnotations.change`` takes: ``key`` (new or before) of the items."""
    return {f"{kind}s": [item[key] for item in items if item["kind"] == kind] for kind in (SHAPE, TRACK)}
