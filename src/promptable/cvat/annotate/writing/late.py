"""What was sent again and came twice: the later one goes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from promptable.cvat.annotate.writing.same import content, is_unchanged, new_by_content, unchanged
from promptable.cvat.journal import Batch, Journal, SentUpload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.annotations import KINDS, Annotations
from promptable.cvat.server.late_requests import delete_late


def remove_late(client: Any, journal: Journal, labels: TaskLabels) -> None:
    """Take away what came twice of what any run sent again, as far as nobody has changed it. Raises CvatError.

    ``client`` is cvat-sdk's. Called when a run begins and when it ends: what comes later still is there until the next.
    """

    def late(batch: Batch, there: Annotations) -> Annotations:
        return {f"{kind}s": list(_late(kind, batch, there, journal, labels)) for kind in KINDS}

    for batch in delete_late(client, journal.sent_again(), late):
        journal.arrives_no_more(batch)


def _late(
    kind: str, batch: Batch, there: Annotations, journal: Journal, labels: TaskLabels
) -> Iterator[Mapping[str, Any]]:
    """What equals an upload of the batch, came after the batch was noted, and is in no journal.

    Of what is there several times those that came first stay, and are the batch's: they may also be another machine's,
    which does the same. What is not there any more is gone in all its copies.
    """
    by_id = {one["id"]: one for one in there[f"{kind}s"]}
    new = new_by_content(by_id.values(), batch.after[kind], journal.known_ids(batch.job, kind))
    sent: dict[object, list[SentUpload]] = defaultdict(list)
    for one in batch.uploads:
        if one.kind == kind:
            sent[content(one.payload)].append(one)
    for key, uploads in sent.items():
        late = [number for number in new[key] if is_unchanged(uploads[0].payload, by_id[number], labels)]
        own = [one for one in unchanged(uploads, there, labels) if one.state == "stored"]
        every = sorted([*late, *(one.server_id for one in own if one.server_id is not None)])
        if moved := {one.id: stays for one, stays in zip(own, every, strict=False) if one.server_id != stays}:
            journal.adopted(moved)
        yield from (by_id[number] for number in every[len(own) :])
