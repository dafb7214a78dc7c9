"""The SQLite file of a task: its path and its tables."""

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_state_path

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, command TEXT, state TEXT, begun TEXT, ended TEXT, options TEXT, model TEXT);
CREATE TABLE IF NOT EXISTS frames (
    run INTEGER, frame INTEGER, state TEXT, error TEXT, PRIMARY KEY (run, frame)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (
    run INTEGER, job INTEGER, frame INTEGER, state TEXT, batch INTEGER,
    PRIMARY KEY (run, job, frame)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS places_of_frame ON places (run, frame);
CREATE TABLE IF NOT EXISTS detections (
    id INTEGER PRIMARY KEY, run INTEGER, frame INTEGER, label TEXT, type TEXT, score REAL, chosen INTEGER,
    points TEXT, attributes TEXT);
CREATE INDEX IF NOT EXISTS detections_of_frame ON detections (run, frame);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, run INTEGER, job INTEGER, state TEXT, begun TEXT, after_shape INTEGER, after_tag INTEGER);
CREATE TABLE IF NOT EXISTS uploads (
    id INTEGER PRIMARY KEY, run INTEGER, batch INTEGER, job INTEGER, frame INTEGER, kind TEXT, detection INTEGER,
    payload TEXT, server_id INTEGER, state TEXT);
CREATE INDEX IF NOT EXISTS uploads_of_batch ON uploads (batch);
CREATE INDEX IF NOT EXISTS uploads_of_job ON uploads (job, frame);
CREATE INDEX IF NOT EXISTS uploads_of_detection ON uploads (detection);
CREATE TABLE IF NOT EXISTS sent_again (batch INTEGER PRIMARY KEY, at TEXT);
CREATE TABLE IF NOT EXISTS opened_issues (
    id INTEGER PRIMARY KEY, run INTEGER, job INTEGER, frame INTEGER, message TEXT, server_id INTEGER);
CREATE TABLE IF NOT EXISTS labels (name TEXT, id INTEGER, specs TEXT);
CREATE TABLE IF NOT EXISTS deleted (
    run INTEGER, job INTEGER, kind TEXT, server_id INTEGER, item TEXT, highest INTEGER,
    PRIMARY KEY (run, job, kind, server_id));
"""
"""The tables, and the values of ``state``:

- runs: running, finished, undone, given up;
- frames: waiting, asked, failed;
- places, a frame in a job: waiting, sent, left (to people);
- batches, the uploads of one request: sending, stored, refused (the server stored nothing of it);
- uploads, one shape or tag each: sending, stored, lost (people deleted it before its id was known), removed (by us).

The other tables:

- sent_again: the batches that were sent twice, or given up, while a request of theirs may still arrive;
- deleted: what a run deletes, as CVAT had it, from before it is deleted until it is put back;
- labels: CVAT's ids of the task's labels and, in JSON by name, of their attributes;
- opened_issues: the issues that a run opens, from before they are opened.
"""


def journal_path(server: str, task: int, created: str) -> Path:
    """The path of the journal for a task; ``server`` is the address of the server.

    ``created`` is the task's creation time in ISO 8601. It tells apart tasks with the same number, such as those of a
    server that was set up again. The path contains this time in UTC. An existing journal from an earlier version, whose
    path contains the time in the server's own time zone, is used if there is none with UTC.
    """
    host = re.sub(r"[^a-z0-9.-]+", "-", urlsplit(server).netloc.lower())
    when = datetime.fromisoformat(created)
    utc = when.astimezone(UTC) if when.tzinfo else when
    path, former = (
        Path(user_state_path("promptable")) / host / f"task-{task}-{one:%Y%m%d%H%M%S}.sqlite" for one in (utc, when)
    )
    return former if former.exists() and not path.exists() else path


def path_of(client: Any, task: Any) -> Path:
    """The path of the journal for cvat-sdk's ``task`` on the server of ``client``."""
    return journal_path(client.api_map.host, int(task.id), str(task.created_date))


def now() -> str:
    """The time now, UTC in ISO 8601, as the journal keeps times."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the file to write; create it, its tables and its folder if missing. Only this user may read a new folder."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(SCHEMA)
    return database


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing file read-only. Raises sqlite3.OperationalError if there is none."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    database.row_factory = sqlite3.Row
    return database
