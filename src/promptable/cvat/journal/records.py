"""What the journal holds, row by row."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.detection import Detection


@dataclass(frozen=True)
class Run:
    """One run of a command. ``options`` are what a resumed run must repeat; ``model`` is what answered.

    ``state`` is running, finished, undone or given up; ``begun`` and ``ended`` are UTC in ISO 8601, ``ended`` None
    until it is.
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
    """What a run found on a frame, uploaded or not; ``id`` is the journal's."""

    id: int
    frame: int
    detection: Detection


@dataclass(frozen=True)
class Upload:
    """A shape or tag (``kind``) as it is sent; ``detection`` is the ``Found.id`` of what it shows, None of a mark."""

    kind: str
    frame: int
    payload: Mapping[str, Any]
    detection: int | None


@dataclass(frozen=True)
class SentUpload(Upload):
    """An upload in the journal. ``server_id`` is None until it is known.

    ``state`` is sending, stored, lost (people took it away before its id was known) or removed (by us).
    """

    id: int
    run: int
    job: int
    state: str
    server_id: int | None


@dataclass(frozen=True)
class Batch:
    """Uploads of one request to a job. Of the server's shapes and tags only ids above these two can be its own."""

    id: int
    run: int
    job: int
    after: Mapping[str, int]
    uploads: Sequence[SentUpload]


def read_run(row: sqlite3.Row) -> Run:
    options, model = json.loads(row["options"]), json.loads(row["model"])
    return Run(row["id"], row["command"], row["state"], options, model, row["begun"], row["ended"])


def read_found(row: sqlite3.Row) -> Found:
    points, attributes = tuple(json.loads(row["points"])), json.loads(row["attributes"])
    detection = Detection(row["label"], row["type"], row["score"], points, attributes, bool(row["chosen"]))
    return Found(row["id"], row["frame"], detection)


def read_upload(row: sqlite3.Row) -> SentUpload:
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
