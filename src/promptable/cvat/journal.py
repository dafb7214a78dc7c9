"""What the commands did to a task: found, uploaded, failed. Written before and after every step: nothing is lost.

One SQLite file a task, in the user's state folder by server and task, found from any working directory. A batch is
noted before it is sent and its ids after: one that was sent and has no ids is looked for on the server first.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_state_path

from promptable.cvat.detection import Detection
from promptable.cvat.server.errors import CvatError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, command TEXT, state TEXT, begun TEXT, ended TEXT, options TEXT, model TEXT);
CREATE TABLE IF NOT EXISTS frames (
    run INTEGER, frame INTEGER, state TEXT, error TEXT, PRIMARY KEY (run, frame)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (
    run INTEGER, job INTEGER, frame INTEGER, state TEXT, batch INTEGER,
    PRIMARY KEY (run, job, frame)) WITHOUT ROWID;
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
"""
"""States. runs: running, finished, undone, given up. frames: waiting, asked, failed. places, which are frames in jobs:
waiting, sent, left (to people). batches: sending, stored. uploads, which are shapes and tags: sending, stored, lost
(not on the server when it was looked for: people took it away), removed (by us)."""


@dataclass(frozen=True)
class Run:
    """One run of a command. ``options`` are what a resumed run must repeat; ``model`` is what answered."""

    id: int
    command: str
    state: str
    options: Mapping[str, Any]
    model: Mapping[str, Any]


@dataclass(frozen=True)
class Upload:
    """A shape or tag (``kind``) as it was sent; ``server_id`` is None until it is known.

    ``id`` is None until it is in the journal, ``detection`` the journal's number of what was found, if any.
    """

    kind: str
    frame: int
    payload: Mapping[str, Any]
    detection: int | None = None
    id: int | None = None
    server_id: int | None = None


@dataclass(frozen=True)
class Batch:
    """Uploads of one request to a job. Of the server's shapes and tags only ids above these two can be its own."""

    id: int
    run: int
    job: int
    after: Mapping[str, int]
    uploads: Sequence[Upload]


def journal_path(server: str, task: int, created: str) -> Path:
    """The file for a task of a server (its address); ``created`` tells tasks of one number apart that came later."""
    host = re.sub(r"[^a-z0-9.-]+", "-", urlsplit(server).netloc.lower())
    return Path(user_state_path("promptable")) / host / f"task-{task}-{re.sub('[^0-9]', '', created)[:14]}.sqlite"


class Journal:
    """The journal of one task."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works on the task. Raises CvatError where somebody does; a process that is killed lets go."""
        lock = sqlite3.connect(self.path.with_suffix(".lock"), timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            lock.close()
            raise CvatError("another run is at work on this task: wait until it is done") from None
        try:
            yield
        finally:
            lock.close()

    def begin(
        self,
        command: str,
        options: Mapping[str, Any],
        model: Mapping[str, Any],
        places: Iterable[tuple[int, int]],
    ) -> Run:
        """A run over these places: (job, frame). A frame that two jobs share is asked about once."""
        with self._writing():
            written = (command, "running", _now(), json.dumps(options), json.dumps(model))
            run = self._insert("runs (command, state, begun, options, model)", written)
            rows = [(run, job, frame) for job, frame in places]
            self._db.executemany("INSERT INTO places VALUES (?, ?, ?, 'waiting', NULL)", rows)
            frames = [(run, frame) for frame in sorted({frame for _, _, frame in rows})]
            self._db.executemany("INSERT INTO frames VALUES (?, ?, 'waiting', NULL)", frames)
        return self.run(run)

    def run(self, number: int) -> Run:
        """Raises CvatError where there is no such run."""
        row = self._db.execute("SELECT * FROM runs WHERE id = ?", (number,)).fetchone()
        if row is None:
            known = ", ".join(str(row["id"]) for row in self._db.execute("SELECT id FROM runs")) or "none"
            raise CvatError(f"there is no run {number} of this task; those there are: {known}")
        return Run(row["id"], row["command"], row["state"], json.loads(row["options"]), json.loads(row["model"]))

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        return [self.run(row["id"]) for row in self._db.execute("SELECT id FROM runs ORDER BY id").fetchall()]

    def end(self, run: int, state: str) -> None:
        self._db.execute("UPDATE runs SET state = ?, ended = ? WHERE id = ?", (state, _now(), run))

    def wait_again_for_failed(self, run: int) -> None:
        """Frames that failed and are not marked on the server yet are asked about again."""
        self._db.execute(
            "UPDATE frames SET state = 'waiting', error = NULL WHERE run = ? AND state = 'failed' AND NOT EXISTS "
            "(SELECT 1 FROM places WHERE run = frames.run AND frame = frames.frame AND state <> 'waiting')",
            (run,),
        )

    def frames(self, run: int, state: str) -> list[int]:
        """The frames in this state, in order."""
        rows = self._db.execute("SELECT frame FROM frames WHERE run = ? AND state = ? ORDER BY frame", (run, state))
        return [row["frame"] for row in rows]

    def errors(self, run: int) -> dict[int, str]:
        """Why frames failed."""
        rows = self._db.execute("SELECT frame, error FROM frames WHERE run = ? AND state = 'failed'", (run,))
        return {row["frame"]: row["error"] for row in rows}

    def found(self, run: int, frame: int, detections: Iterable[Detection]) -> None:
        """A frame's detections, those that are to be uploaded (``chosen``) and the others."""
        rows = [
            (run, frame, one.label, one.type, one.score, one.chosen, json.dumps(one.points), json.dumps(one.attributes))
            for one in detections
        ]
        with self._writing():
            self._db.executemany(
                "INSERT INTO detections (run, frame, label, type, score, chosen, points, attributes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._db.execute("UPDATE frames SET state = 'asked' WHERE run = ? AND frame = ?", (run, frame))

    def failed(self, run: int, frame: int, error: str) -> None:
        values = (error, run, frame)
        self._db.execute("UPDATE frames SET state = 'failed', error = ? WHERE run = ? AND frame = ?", values)

    def chosen(self, run: int, frame: int) -> dict[int, Detection]:
        """The detections of a frame that are to be uploaded, by their numbers here."""
        rows = self._db.execute("SELECT * FROM detections WHERE run = ? AND frame = ? AND chosen", (run, frame))
        return {row["id"]: _detection(row) for row in rows}

    def count_chosen(self, run: int) -> int:
        """How many detections are to be uploaded."""
        return int(self._db.execute("SELECT count(*) FROM detections WHERE run = ? AND chosen", (run,)).fetchone()[0])

    def histogram(self, run: int, bins: int) -> Iterator[tuple[str, bool, int, int]]:
        """Of what was found, counted once a frame: label, whether it is uploaded, which bin of [0, 1], how many."""
        rows = self._db.execute(
            "SELECT label, id IN (SELECT detection FROM uploads WHERE run = ? AND state = 'stored' "
            "AND detection IS NOT NULL) AS up, min(CAST(score * ? + 1e-6 AS INTEGER), ?) AS bin, count(*) "
            "FROM detections WHERE run = ? GROUP BY label, up, bin",
            (run, bins, bins - 1, run),
        )
        return ((label, bool(uploaded), number, count) for label, uploaded, number, count in rows)

    def weakest_frames(self, run: int, below: float, limit: int) -> Iterator[tuple[int, int, int, float, list[str]]]:
        """Job, frame, how many uploads are less sure than ``below``, the lowest score and their labels; that first."""
        rows = self._db.execute(
            "SELECT u.job, u.frame, count(*), min(d.score) AS weakest, "
            "json_group_array(DISTINCT d.label) FROM uploads u JOIN detections d ON d.id = u.detection "
            "WHERE u.run = ? AND u.state = 'stored' AND d.score < ? GROUP BY u.job, u.frame "
            "ORDER BY weakest, u.job, u.frame LIMIT ?",
            (run, below, limit),
        )
        return ((job, frame, count, score, sorted(json.loads(labels))) for job, frame, count, score, labels in rows)

    def frames_below(self, run: int, below: float) -> int:
        """How many frames of jobs have uploads that are less sure than ``below``."""
        rows = self._db.execute(
            "SELECT count(*) FROM (SELECT DISTINCT u.job, u.frame FROM uploads u JOIN detections d "
            "ON d.id = u.detection WHERE u.run = ? AND u.state = 'stored' AND d.score < ?)",
            (run, below),
        )
        return int(rows.fetchone()[0])

    def ready(self, run: int, state: str = "asked") -> dict[int, list[int]]:
        """By job: the frames that are in this state and still wait to be uploaded."""
        rows = self._db.execute(
            "SELECT job, p.frame FROM places p JOIN frames f ON f.run = p.run AND f.frame = p.frame "
            "WHERE p.run = ? AND p.state = 'waiting' AND f.state = ? ORDER BY job, p.frame",
            (run, state),
        )
        ready: dict[int, list[int]] = {}
        for row in rows:
            ready.setdefault(row["job"], []).append(row["frame"])
        return ready

    def places(self, run: int, state: str) -> list[tuple[int, int]]:
        """Job and frame of the places in this state."""
        rows = self._db.execute("SELECT job, frame FROM places WHERE run = ? AND state = ?", (run, state))
        return [(row["job"], row["frame"]) for row in rows]

    def leave(self, run: int, job: int, frames: Iterable[int]) -> None:
        """These frames of the job are left to people."""
        rows = [(run, job, frame) for frame in frames]
        with self._writing():
            self._db.executemany("UPDATE places SET state = 'left' WHERE run = ? AND job = ? AND frame = ?", rows)

    def intend(
        self, run: int, job: int, frames: Iterable[int], after: Mapping[str, int], uploads: Sequence[Upload]
    ) -> Batch:
        """Note what is about to be sent; it is on the disk when this returns."""
        with self._writing(durable=True):
            row = (run, job, "sending", _now(), after["shape"], after["tag"])
            batch = self._insert("batches (run, job, state, begun, after_shape, after_tag)", row)
            self._db.executemany(
                "INSERT INTO uploads (run, batch, job, frame, kind, detection, payload, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'sending')",
                [(run, batch, job, one.frame, one.kind, one.detection, json.dumps(one.payload)) for one in uploads],
            )
            self._db.executemany(
                "UPDATE places SET state = 'sent', batch = ? WHERE run = ? AND job = ? AND frame = ?",
                [(batch, run, job, frame) for frame in frames],
            )
        return self._batch(batch)

    def sending(self, run: int) -> list[Batch]:
        """The batches of which it is not known whether they reached the server."""
        rows = self._db.execute("SELECT id FROM batches WHERE run = ? AND state = 'sending' ORDER BY id", (run,))
        return [self._batch(row["id"]) for row in rows.fetchall()]

    def frames_of(self, batch: Batch) -> list[int]:
        """The frames that a batch is about, those without anything to upload too."""
        rows = self._db.execute(
            "SELECT frame FROM places WHERE run = ? AND job = ? AND batch = ?", (batch.run, batch.job, batch.id)
        )
        return [row["frame"] for row in rows]

    def stored(self, batch: Batch, ids: Mapping[int, int]) -> None:
        """A batch is on the server; ``ids`` are the server's by the uploads' own. Those without one are lost."""
        with self._writing():
            self._db.execute("UPDATE uploads SET state = 'lost' WHERE batch = ?", (batch.id,))
            self._db.executemany(
                "UPDATE uploads SET state = 'stored', server_id = ? WHERE id = ?",
                [(server_id, upload) for upload, server_id in ids.items()],
            )
            self._db.execute("UPDATE batches SET state = 'stored' WHERE id = ?", (batch.id,))

    def known_ids(self, job: int, kind: str) -> set[int]:
        """Every id of the server that the journal has of a job, of shapes or of tags."""
        rows = self._db.execute(
            "SELECT server_id FROM uploads WHERE job = ? AND kind = ? AND server_id IS NOT NULL", (job, kind)
        )
        return {row["server_id"] for row in rows}

    def written(self, job: int, *, only: int | None = None, other_than: int | None = None) -> list[Upload]:
        """What automatic runs wrote into a job and have not removed: all, ``only`` one run's, or the others'."""
        rows = self._db.execute(
            "SELECT * FROM uploads WHERE job = ? AND state = 'stored' AND (? IS NULL OR run = ?) AND "
            "(? IS NULL OR run <> ?)",
            (job, only, only, other_than, other_than),
        )
        return [_upload(row) for row in rows]

    def jobs(self, run: int) -> list[int]:
        """The jobs that a run wrote into."""
        return [row["job"] for row in self._db.execute("SELECT DISTINCT job FROM batches WHERE run = ?", (run,))]

    def removed(self, uploads: Iterable[Upload]) -> None:
        with self._writing():
            rows = [(one.id,) for one in uploads]
            self._db.executemany("UPDATE uploads SET state = 'removed' WHERE id = ?", rows)

    def uploaded(self, run: int) -> int:
        """How many shapes and tags of detections a run has stored."""
        counted = "SELECT count(*) FROM uploads WHERE run = ? AND state = 'stored' AND detection IS NOT NULL"
        return int(self._db.execute(counted, (run,)).fetchone()[0])

    def _batch(self, number: int) -> Batch:
        row = self._db.execute("SELECT * FROM batches WHERE id = ?", (number,)).fetchone()
        uploads = self._db.execute("SELECT * FROM uploads WHERE batch = ? ORDER BY id", (number,))
        after = {"shape": row["after_shape"], "tag": row["after_tag"]}
        return Batch(number, row["run"], row["job"], after, [_upload(one) for one in uploads])

    def _insert(self, where: str, values: Sequence[object]) -> int:
        marks = ", ".join("?" * len(values))
        return int(self._db.execute(f"INSERT INTO {where} VALUES ({marks})", values).lastrowid or 0)  # noqa: S608

    @contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[None]:
        """All of it or nothing; ``durable`` waits for the disk, with all that was written before."""
        self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _detection(row: sqlite3.Row) -> Detection:
    points, attributes = tuple(json.loads(row["points"])), json.loads(row["attributes"])
    return Detection(row["label"], row["type"], row["score"], points, attributes, bool(row["chosen"]))


def _upload(row: sqlite3.Row) -> Upload:
    payload = json.loads(row["payload"])
    return Upload(row["kind"], row["frame"], payload, row["detection"], row["id"], row["server_id"])
