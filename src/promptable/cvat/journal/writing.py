"""Writing the journal: what a run is about to do, and what it has done."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

from promptable.cvat.detection import Detection
from promptable.cvat.journal.database import now, path_of
from promptable.cvat.journal.deletions import Deletions
from promptable.cvat.journal.issues import Issues
from promptable.cvat.journal.labels import Labels, labels_of
from promptable.cvat.journal.records import Batch, Run, SentUpload, Upload, read_upload


class Journal(Deletions, Issues, Labels):
    """The journal of one task, for the command that works on the task.

    A batch is written to the journal before it is sent, and its ids afterwards. After an interruption, the command
    looks on the server for a batch that has no ids yet.
    """

    @classmethod
    @contextmanager
    def of_task(cls, client: Any, task: Any) -> Iterator[Self]:
        """The journal of a task, locked as by ``alone``, with the labels that the task has now.

        ``client`` and ``task`` are cvat-sdk's. Raises CvatError.
        """
        journal = cls(path_of(client, task))
        try:
            with journal.alone():
                journal.follow_labels(labels_of(client, task))
                yield journal
        finally:
            journal.close()

    def begin(
        self,
        command: str,
        options: Mapping[str, Any],
        model: Mapping[str, Any],
        places: Iterable[tuple[int, int]],
    ) -> Run:
        """Begin a run over these places: (job, frame). A frame that two jobs share is sent to the function once."""
        with self._writing():
            written = (command, "running", now(), json.dumps(options), json.dumps(model))
            run = self._insert("runs (command, state, begun, options, model)", written)
            rows = ((run, job, frame) for job, frame in places)
            self._db.executemany("INSERT INTO places VALUES (?, ?, ?, 'waiting', NULL)", rows)
            of_places = "SELECT DISTINCT run, frame, 'waiting', NULL FROM places WHERE run = ?"
            self._db.execute("INSERT INTO frames " + of_places, (run,))
        return self.run(run)

    def end(self, run: int, state: str) -> None:
        """Note that a run has ended, as finished, undone or given up (``state``)."""
        self._db.execute("UPDATE runs SET state = ?, ended = ? WHERE id = ?", (state, now(), run))

    def wait_again_for_failed(self, run: int) -> None:
        """Set failed frames to waiting again, except those that were already sent to, or left in, some job."""
        self._db.execute(
            "UPDATE frames SET state = 'waiting', error = NULL WHERE run = ? AND state = 'failed' AND NOT EXISTS "
            "(SELECT 1 FROM places WHERE run = frames.run AND frame = frames.frame AND state <> 'waiting')",
            (run,),
        )

    def found(self, run: int, frame: int, detections: Iterable[Detection]) -> None:
        """Write a frame's detections: those that are to be uploaded (``chosen``), and the others."""
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
        """Write the error on which a frame has failed."""
        values = (error, run, frame)
        self._db.execute("UPDATE frames SET state = 'failed', error = ? WHERE run = ? AND frame = ?", values)

    def ready(self, run: int, state: str, frames: Sequence[int] | None = None) -> dict[int, list[int]]:
        """For each job, the frames in this state that still wait for their upload: all, or only those in ``frames``."""
        only = "" if frames is None else "AND p.frame IN (SELECT value FROM json_each(:frames)) "
        rows = self._db.execute(
            "SELECT job, p.frame FROM places p JOIN frames f ON f.run = p.run AND f.frame = p.frame "  # noqa: S608
            f"WHERE p.run = :run AND p.state = 'waiting' AND f.state = :state {only}ORDER BY job, p.frame",
            {"run": run, "state": state, "frames": json.dumps(frames)},
        )
        ready: dict[int, list[int]] = {}
        for row in rows:
            ready.setdefault(row["job"], []).append(row["frame"])
        return ready

    def leave(self, run: int, job: int, frames: Iterable[int]) -> None:
        """Leave these frames of the job to people: nothing is uploaded there, not even what was about to be sent."""
        rows = [(run, job, frame) for frame in frames]
        never_sent = (
            "UPDATE uploads SET state = 'removed' WHERE run = ? AND job = ? AND frame = ? AND state = 'sending'"
        )
        with self._writing():
            self._db.executemany("UPDATE places SET state = 'left' WHERE run = ? AND job = ? AND frame = ?", rows)
            self._db.executemany(never_sent, rows)

    def intend(
        self, run: int, job: int, frames: Iterable[int], after: Mapping[str, int], uploads: Sequence[Upload]
    ) -> Batch:
        """Write a batch that is about to be sent; it is safely on the disk when this returns.

        ``after`` has the highest ids of shapes and of tags in the job now.
        """
        with self._writing(durable=True):
            row = (run, job, "sending", now(), after["shape"], after["tag"])
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
        """The batches for which it is not known whether they reached the server."""
        rows = self._db.execute("SELECT id FROM batches WHERE run = ? AND state = 'sending' ORDER BY id", (run,))
        return [self._batch(row["id"]) for row in rows.fetchall()]

    def frames_of(self, batch: Batch) -> list[int]:
        """The frames of a batch that are not left to people, including those without uploads."""
        rows = self._db.execute(
            "SELECT frame FROM places WHERE run = ? AND job = ? AND batch = ? AND state = 'sent'",
            (batch.run, batch.job, batch.id),
        )
        return [row["frame"] for row in rows]

    def stored(self, batch: Batch, ids: Mapping[int, int]) -> None:
        """Note that a batch is on the server. ``ids`` maps upload ids to the server's; uploads without one are lost."""
        with self._writing():
            self._db.execute("UPDATE uploads SET state = 'lost' WHERE batch = ? AND state = 'sending'", (batch.id,))
            self._db.executemany(
                "UPDATE uploads SET state = 'stored', server_id = ? WHERE id = ?",
                [(server_id, upload) for upload, server_id in ids.items()],
            )
            self._db.execute("UPDATE batches SET state = 'stored' WHERE id = ?", (batch.id,))

    def refused(self, batch: Batch) -> None:
        """Note that the server has stored nothing of a batch: its frames wait for their upload again."""
        with self._writing():
            self._db.execute("UPDATE uploads SET state = 'removed' WHERE batch = ?", (batch.id,))
            self._db.execute(
                "UPDATE places SET state = 'waiting', batch = NULL WHERE batch = ? AND state = 'sent'", (batch.id,)
            )
            self._db.execute("UPDATE batches SET state = 'refused' WHERE id = ?", (batch.id,))

    def batch_may_arrive_late(self, batch: Batch) -> None:
        """Note that a batch, which may have reached the server, is sent once more or waited for no longer."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO sent_again VALUES (?, ?)", (batch.id, now()))

    def sent_again(self) -> list[tuple[Batch, datetime]]:
        """The batches of all runs of which a request may still arrive, each with the time when that was noted."""
        rows = self._db.execute("SELECT batch, at FROM sent_again ORDER BY batch").fetchall()
        return [(self._batch(row["batch"]), datetime.fromisoformat(row["at"])) for row in rows]

    def arrives_no_more(self, batch: Batch) -> None:
        """Note that no request of a batch can still arrive."""
        self._db.execute("DELETE FROM sent_again WHERE batch = ?", (batch.id,))

    def adopted(self, ids: Mapping[int, int]) -> None:
        """Give uploads other ids of the server, ``ids`` by upload: of two copies, the other one stays."""
        rows = [(server, upload) for upload, server in ids.items()]
        with self._writing():
            self._db.executemany("UPDATE uploads SET server_id = ? WHERE id = ? AND state = 'stored'", rows)

    def removed(self, uploads: Iterable[SentUpload]) -> None:
        """Note that uploads were deleted from the server."""
        with self._writing():
            rows = [(one.id,) for one in uploads]
            self._db.executemany("UPDATE uploads SET state = 'removed' WHERE id = ?", rows)

    def _batch(self, number: int) -> Batch:
        row = self._db.execute("SELECT * FROM batches WHERE id = ?", (number,)).fetchone()
        uploads = self._db.execute("SELECT * FROM uploads WHERE batch = ? ORDER BY id", (number,))
        after = {"shape": row["after_shape"], "tag": row["after_tag"]}
        return Batch(number, row["run"], row["job"], after, [read_upload(one) for one in uploads])
