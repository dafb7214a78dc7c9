"""What was sent and what the server holds: whether one is the other, and whether people have changed it since."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from promptable.cvat.journal import Batch, Journal, SentUpload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.annotations import KINDS, JobAnnotations
from promptable.cvat.server.comparison import defaults_of, is_as_sent, rounded
from promptable.cvat.server.late_requests import Tell, poll


def look_for(client: Any, journal: Journal, batch: Batch, tell: Tell) -> dict[int, int] | None:
    """The server's ids of a batch's uploads by their own, None where the batch did not arrive. Raises CvatError.

    Looks for a while, since a server may still be at a request whose sender is gone.
    """
    if not batch.uploads:
        return None
    for _ in poll(batch.job, tell):
        ids = _matched(batch, JobAnnotations(client, batch.job).read(), journal)
        if ids:
            return ids
    return None


def _matched(batch: Batch, there: Mapping[str, Any], journal: Journal) -> dict[int, int]:
    """Uploads and what equals them, one to one, among what was stored since the batch was noted and is nobody else's.

    Shapes decide: people may set the same tag.
    """
    ids: dict[int, int] = {}
    for kind in KINDS:
        own = [one for one in batch.uploads if one.kind == kind]
        candidates = new_by_content(there[f"{kind}s"], batch.after[kind], journal.known_ids(batch.job, kind))
        found = {one.id: equal.pop() for one in own if (equal := candidates[content(one.payload)])}
        if own and not found and kind == "shape":
            return {}
        ids |= found
    return ids


def new_by_content(held: Iterable[Mapping[str, Any]], after: int, known: set[int]) -> defaultdict[object, list[int]]:
    """Ids above ``after`` that are not ``known``, by content, the highest last.

    Of two that equal what was sent, the one that came first may be another machine's.
    """
    by_content: defaultdict[object, list[int]] = defaultdict(list)
    for one in sorted(held, key=lambda one: int(one["id"])):
        if one["id"] > after and one["id"] not in known:
            by_content[content(one)].append(one["id"])
    return by_content


def content(one: Mapping[str, Any]) -> object:
    """What tells shapes of a job apart, and tags; attributes may have been edited since."""
    if "points" not in one:
        return one["frame"], one["label_id"]
    return one["frame"], one["label_id"], one["type"], rounded(one["points"]), round(one["score"], 4)


def still_there(written: Iterable[SentUpload], there: Mapping[str, Any]) -> list[SentUpload]:
    """Of what was written, what is on the server, changed or not. ``there`` is what its job holds."""
    ids = {kind: {one["id"] for one in there[f"{kind}s"]} for kind in KINDS}
    return [one for one in written if one.server_id in ids[one.kind]]


def unchanged(written: Iterable[SentUpload], there: Mapping[str, Any], labels: TaskLabels) -> list[SentUpload]:
    """Of what was written, what is on the server as it was written. ``there`` is what its job holds."""
    by_id = {kind: {one["id"]: one for one in there[f"{kind}s"]} for kind in KINDS}
    return [
        one
        for one in written
        if (now := by_id[one.kind].get(one.server_id)) is not None and is_unchanged(one.payload, now, labels)
    ]


def is_unchanged(written: Mapping[str, Any], now: Mapping[str, Any], labels: TaskLabels) -> bool:
    """Whether nobody moved, relabelled or edited it: every field as written, attributes that came later at default."""
    label = labels.by_id.get(now["label_id"])
    return is_as_sent(written, now, defaults_of(label.attributes if label else ()))


def remove(annotations: JobAnnotations, uploads: Iterable[SentUpload], journal: Journal) -> None:
    """Delete from a job what is in the journal, and note it there. Raises CvatError."""
    doomed = list(uploads)
    if doomed:
        of_kind = {kind: [{**one.payload, "id": one.server_id} for one in doomed if one.kind == kind] for kind in KINDS}
        annotations.delete(of_kind["shape"], of_kind["tag"])
        journal.removed(doomed)
