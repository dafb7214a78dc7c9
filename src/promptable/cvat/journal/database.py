"""The SQLite file of a task: where it lies, and what its tables are."""

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
"""
"""States. runs: running, finished, undone, given up. frames: waiting, asked, failed. places, which are frames in jobs:
waiting, sent, left (to people). batches: sending, stored. uploads, which are shapes and tags: sending, stored, lost
(not on the server when it was looked for: people took it away), removed (by us). sent_again are batches of which an
earlier request may still arrive."""


def journal_path(server: str, task: int, created: str) -> Path:
    """The file for a task of a server (its address).

    ``created``, in ISO 8601, tells tasks of one number apart that came later. It counts in UTC, whatever time zone the
    server writes it in; a journal that is named by the server's own time, as they once were, is found too.
    """
    host = re.sub(r"[^a-z0-9.-]+", "-", urlsplit(server).netloc.lower())
    when = datetime.fromisoformat(created)
    utc = when.astimezone(UTC) if when.tzinfo else when
    path, former = (
        Path(user_state_path("promptable")) / host / f"task-{task}-{one:%Y%m%d%H%M%S}.sqlite" for one in (utc, when)
    )
    return former if former.exists() and not path.exists() else path


def path_of(client: Any, task: Any) -> Path:
    """The file for a task, as ``client`` has it; both are cvat-sdk's."""
    return journal_path(client.api_map.host, int(task.id), str(task.created_date))


def open_to_write(path: Path) -> sqlite3.Connection:
    """The file with its tables, made where there is none; a folder that is made for it is for this user's eyes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(SCHEMA)
    return database


def open_to_read(path: Path) -> sqlite3.Connection:
    """The file that there is; writing to it is an error. Raises sqlite3.OperationalError where there is none."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    database.row_factory = sqlite3.Row
    return database
