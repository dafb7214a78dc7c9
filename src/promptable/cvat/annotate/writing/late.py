"""Removing second copies: what was sent again may be stored twice, later than anybody looks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from promptable.cvat.annotate.writing.lookup import content, new_by_content
from promptable.cvat.annotate.writing.unchanged import is_unchanged, unchanged
from promptable.cvat.journal import Batch, Journal, SentUpload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.annotations import KINDS, Annotations
from promptable.cvat.server.late_requests import delete_late


def remove_late(client: Any, journal: Journal, labels: TaskLabels) -> None:
    """Delete the second copies of what any run sent again, unless people have changed them. Raises CvatError.

    ``client`` is cvat-sdk's. It is called when a run begins and when it ends; the next run removes what comes later.
    """

    def late(batch: Batch, there: Annotations) -> Annotations:
        return {f"{kind}s": list(_second_copies(kind, batch, there, journal, labels)) for kind in KINDS}

    for batch in delete_late(client, journal.sent_again(), late):
        journal.arrives_no_more(batch)


def _second_copies(
    kind: str, batch: Batch, there: Annotations, journal: Journal, labels: TaskLabels
) -> Iterator[Mapping[str, Any]]:
    """The shapes, or tags, of the batch's job that are second copies of the batch's uploads.

    Copies equal an upload, are newer than the batch and are in no journal. Of each upload the copy that was stored
    first stays, and the journal gets its id: it may be another machine's, whose run decides by the same rule. If people
    have deleted or changed an upload, no copy of it stays.
    """
    by_id = {one["id"]: one for one in there[f"{kind}s"]}
    new = new_by_content(by_id.values(), batch.after[kind], journal.known_ids(batch.job, kind))
    sent: dict[object, list[SentUpload]] = defaultdict(list)
    for one in batch.uploads:
        if one.kind == kind:
            sent[content(one.payload)].append(one)
    for key, uploads in sent.items():
        others = [number for number in new[key] if is_unchanged(uploads[0].payload, by_id[number], labels)]
        own = [one for one in unchanged(uploads, there, labels) if one.state == "stored"]
        copies = sorted([*others, *(one.server_id for one in own if one.server_id is not None)])
        if adopted := {one.id: stays for one, stays in zip(own, copies, strict=False) if one.server_id != stays}:
            journal.adopted(adopted)
        yield from (by_id[number] for number in copies[len(own) :])
