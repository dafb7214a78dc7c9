"""The records of the journal as dataclasses, and how they are read from rows."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.detection import Detection


@dataclass(frozen=True)
class Run:
    """One run of a command. A resumed run must have the same ``options``; ``model`` describes the model that was used.

    ``state`` is running, finished, undone or given up. ``begun`` and ``ended`` are UTC in ISO 8601; ``ended`` is None
    until the run has ended.
    """

    id: int
    command: str
    state: str
    options: Mapping[str, Any]
    model: Mapping[str, Any]
    begun: str
    ended: str | None


@dataclass(frozen=True)
class Found:
    """A detection of a run on a frame, uploaded or not; ``id`` is its id in the journal."""

    id: int
    frame: int
    detection: Detection


@dataclass(frozen=True)
class Upload:
    """A shape or tag (``kind``) as it is sent; ``detection`` is the ``Found.id`` of its detection, None for a tag that
    marks a frame."""

    kind: str
    frame: int
    payload: Mapping[str, Any]
    detection: int | None


@dataclass(frozen=True)
class SentUpload(Upload):
    """An upload in the journal. ``server_id`` is None until it is known.

    ``state`` is sending, stored, lost (people had deleted it before its id was known) or removed (by us).
    """

    id: int
    run: int
    job: int
    state: str
    server_id: int | None


@dataclass(frozen=True)
class Batch:
    """The uploads of one request to a job.

    ``after`` has the highest ids of shapes and of tags before the request: only higher ids can belong to the batch.
    """

    id: int
    run: int
    job: int
    after: Mapping[str, int]
    uploads: Sequence[SentUpload]


@dataclass(frozen=True)
class Deleted:
    """A shape or tag (``kind``) that a run deletes from a job; ``item`` is as CVAT gave it, its id included.

    ``highest`` is the highest id of its kind in the job at that time: annotations with a higher one came later.
    """

    kind: str
    item: Mapping[str, Any]
    highest: int


@dataclass(frozen=True)
class OpenedIssue:
    """An issue that a run opens in CVAT. ``server_id`` is None until it is known."""

    job: int
    frame: int
    message: str
    server_id: int | None


def read_run(row: sqlite3.Row) -> Run:
    """The run in a row of the table ``runs``."""
    options, model = json.loads(row["options"]), json.loads(row["model"])
    return Run(row["id"], row["command"], row["state"], options, model, row["begun"], row["ended"])


def read_found(row: sqlite3.Row) -> Found:
    """The detection in a row of the table ``detections``."""
    points, attributes = tuple(json.loads(row["points"])), json.loads(row["attributes"])
    detection = Detection(row["label"], row["type"], row["score"], points, attributes, bool(row["chosen"]))
    return Found(row["id"], row["frame"], detection)


def read_upload(row: sqlite3.Row) -> SentUpload:
    """The upload in a row of the table ``uploads``."""
    return SentUpload(
        row["kind"],
        row["frame"],
        json.loads(row["payload"]),
        row["detection"],
        row["id"],
        row["run"],
        row["job"],
        row["state"],
        row["server_id"],
    )
