"""Which of the shapes and tags that runs wrote are still on the server, and which of these nobody has changed."""

from collections.abc import Iterable, Mapping
from typing import Any

from promptable.cvat.journal import SentUpload
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.annotations import KINDS
from promptable.cvat.server.comparison import defaults_of, is_as_sent


def still_there(written: Iterable[SentUpload], there: Mapping[str, Any]) -> list[SentUpload]:
    """The uploads that are on the server, changed or not; ``there`` are the annotations of their job."""
    ids = {kind: {one["id"] for one in there[f"{kind}s"]} for kind in KINDS}
    return [one for one in written if one.server_id in ids[one.kind]]


def unchanged(written: Iterable[SentUpload], there: Mapping[str, Any], labels: TaskLabels) -> list[SentUpload]:
    """The uploads that are on the server as they were sent; ``there`` are the annotations of their job."""
    by_id = {kind: {one["id"]: one for one in there[f"{kind}s"]} for kind in KINDS}
    return [
        one
        for one in written
        if (now := by_id[one.kind].get(one.server_id)) is not None and is_unchanged(one.payload, now, labels)
    ]


def is_unchanged(sent: Mapping[str, Any], now: Mapping[str, Any], labels: TaskLabels) -> bool:
    """Whether a shape or tag is on the server as it was sent; attributes that the label got later are at default."""
    label = labels.by_id.get(now["label_id"])
    return is_as_sent(sent, now, defaults_of(label.attributes if label else ()))
