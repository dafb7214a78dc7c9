"""Finding on the server what was sent, by content, while its ids are unknown."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from promptable.cvat.journal import Batch, Journal
from promptable.cvat.server.annotations import KINDS, JobAnnotations
from promptable.cvat.server.comparison import rounded
from promptable.cvat.server.late_requests import Tell, poll


def look_for(client: Any, journal: Journal, batch: Batch, tell: Tell) -> dict[int, int] | None:
    """The server's ids of a batch's uploads, by the journal's ids; None if the batch did not arrive.

    Looks several times, since a server may still work on a request whose sender was killed. ``client`` is cvat-sdk's.
    Raises CvatError.
    """
    if not batch.uploads:
        return None
    for _ in poll(batch.job, tell):
        ids = _matched(batch, JobAnnotations(client, batch.job).read(), journal)
        if ids:
            return ids
    return None


def _matched(batch: Batch, there: Mapping[str, Any], journal: Journal) -> dict[int, int]:
    """The server's ids of uploads that were found in ``there``, the annotations of the batch's job; one to one.

    Only what was stored since the batch was written to the journal, and is in no other batch, can be the batch's.
    Empty if the batch has shapes and none is found: equal tags prove nothing, since people may set the same ones.
    """
    ids: dict[int, int] = {}
    for kind in KINDS:
        uploads = [one for one in batch.uploads if one.kind == kind]
        candidates = new_by_content(there[f"{kind}s"], batch.after[kind], journal.known_ids(batch.job, kind))
        found = {one.id: equal.pop() for one in uploads if (equal := candidates[content(one.payload)])}
        if uploads and not found and kind == "shape":
            return {}
        ids |= found
    return ids


def new_by_content(items: Iterable[Mapping[str, Any]], after: int, known: set[int]) -> defaultdict[object, list[int]]:
    """The ids of shapes or tags that are above ``after`` and not ``known``, by content, in ascending order.

    Take the highest first: of two that equal what was sent, the one that came first may be another machine's.
    """
    by_content: defaultdict[object, list[int]] = defaultdict(list)
    for one in sorted(items, key=lambda one: int(one["id"])):
        if one["id"] > after and one["id"] not in known:
            by_content[content(one)].append(one["id"])
    return by_content


def content(one: Mapping[str, Any]) -> object:
    """What identifies a shape, or a tag, within its job; not its attributes, which people may have edited."""
    if "points" not in one:
        return one["frame"], one["label_id"]
    return one["frame"], one["label_id"], one["type"], rounded(one["points"]), round(one["score"], 4)
