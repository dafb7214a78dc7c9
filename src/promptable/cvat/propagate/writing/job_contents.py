"""The shapes and tracks that a job has now, compared with the items of writes."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.content import SHAPE, TRACK, content, in_order, is_same
from promptable.cvat.propagate.writing.payloads import Defaults, Item
from promptable.cvat.server.annotations import Annotations
from promptable.cvat.server.comparison import defaults_of, is_as_sent, values


def defaults_in(client: Any, task: int) -> Defaults:
    """The defaults of a task's labels. ``client`` is cvat-sdk's. Raises CvatError."""
    return {label["id"]: defaults_of(label["attributes"]) for label in listed(client, task)}


class JobContents:
    """The shapes and tracks of a job, at the time when ``annotations`` were read."""

    def __init__(self, annotations: Annotations, defaults: Defaults) -> None:
        self._defaults = defaults
        self.by_key = {(kind, one["id"]): one for kind in (SHAPE, TRACK) for one in annotations[f"{kind}s"]}

    def now(self, item: Item) -> Mapping[str, Any] | None:
        """The shape or track of an item; None if the job does not have it."""
        return self.by_key.get((item["kind"], item["id"]))

    def is_as_written(self, item: Item) -> bool:
        """Whether an item is in the job as it was written, or, if it was a delete, is not in the job."""
        now, new = self.now(item), item["new"]
        if new is None or now is None:
            return new is now
        return self.is_untouched(new, now)

    def is_untouched(self, new: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether nobody has edited a shape or track, or its keyframes, since it was sent as ``new``.

        CVAT gives a keyframe attributes that were not sent: those of the keyframe before, or the label's defaults.
        """
        expected = dict(self._defaults.get(new["label_id"], {}))
        sent_keys, keys = in_order(new), in_order(now)
        if not is_as_sent(new, now, expected) or len(sent_keys) != len(keys):
            return False
        for sent, key in zip(sent_keys, keys, strict=True):
            if not is_as_sent(sent, key, expected):
                return False
            expected |= values(sent)
        return True

    def is_as_before(self, item: Item) -> bool:
        """Whether the job has the annotation that an item updates or deletes as it was before."""
        now = self.now(item)
        return now is not None and is_same(item["before"], now)

    def highest_ids(self) -> dict[str, int]:
        """The highest id of each kind; 0 if there is none."""
        return {kind: max((number for of, number in self.by_key if of == kind), default=0) for kind in (SHAPE, TRACK)}

    def later_than(self, ids: Mapping[str, int]) -> dict[tuple[str, object], list[int]]:
        """The ids above ``ids`` (by kind), in ascending order, by kind and content."""
        found: dict[tuple[str, object], list[int]] = {}
        for (kind, number), one in sorted(self.by_key.items(), key=itemgetter(0)):
            if number > ids[kind]:
                found.setdefault((kind, content(one, kind)), []).append(number)
        return found
