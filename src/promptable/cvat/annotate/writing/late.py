"""What was given up and sent again may be stored all the same, later than anybody looks: it is there twice then."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from promptable.cvat.annotate.task_labels import TaskLabels
from promptable.cvat.annotate.writing.same import content, is_unchanged, new_by_content
from promptable.cvat.journal import Batch, Journal
from promptable.cvat.server.annotations import KINDS, JobAnnotations
from promptable.cvat.server.errors import CvatError

_LATEST = timedelta(hours=1)
"""No server is at a request for so long."""


def remove_late(client: Any, journal: Journal, labels: TaskLabels) -> None:
    """Take away what came twice of what any run sent again, as far as nobody has changed it. Raises CvatError.

    ``client`` is cvat-sdk's. Called when a run begins and when it ends: what comes later still is there until the next.
    """
    for batch, sent in journal.sent_again():
        annotations = JobAnnotations(client, batch.job)
        try:
            there = annotations.read()
        except CvatError as error:
            if error.status != 404:
                raise
            there = {f"{kind}s": [] for kind in KINDS}  # the job is gone, and all with it
        late = {kind: list(_late(kind, batch, there, journal, labels)) for kind in KINDS}
        annotations.delete(late["shape"], late["tag"])
        if datetime.now(UTC) - sent > _LATEST:
            journal.arrives_no_more(batch)


def _late(
    kind: str, batch: Batch, there: Mapping[str, Any], journal: Journal, labels: TaskLabels
) -> Iterator[Mapping[str, Any]]:
    """What equals an upload of the batch, came after the batch was noted, and is in no journal."""
    by_id = {one["id"]: one for one in there[f"{kind}s"]}
    new = new_by_content(by_id.values(), batch.after[kind], journal.known_ids(batch.job, kind))
    sent = {content(one.payload): one.payload for one in batch.uploads if one.kind == kind}
    for key, payload in sent.items():
        yield from (by_id[number] for number in new[key] if is_unchanged(payload, by_id[number], labels))
