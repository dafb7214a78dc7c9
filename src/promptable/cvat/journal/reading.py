"""Reading the journal of a task: to resume a run, to show it, or to measure what people have changed since."""

import json
import sqlite3
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from promptable.cvat.journal.database import open_to_read
from promptable.cvat.journal.records import Found, Run, SentUpload, read_found, read_run, read_upload
from promptable.cvat.server.errors import CvatError


class JournalReader:
    """The journal of one task, read-only. Another command may write to it at the same time.

    Read an iterator to its end before you write with the same journal.
    """

    def __init__(self, path: Path) -> None:
        """Raises CvatError if there is no journal at ``path``."""
        try:
            self._db = open_to_read(path)
        except sqlite3.OperationalError:
            raise CvatError(f"no run of this task is in the journal here: there is no {path}") from None
        self.path = path

    def close(self) -> None:
        self._db.close()

    def run(self, number: int, command: str | None = None) -> Run:
        """The run with this number. Raises CvatError if there is none, or if it is not one of ``command``, if given."""
        row = self._db.execute("SELECT * FROM runs WHERE id = ?", (number,)).fetchone()
        if row is None:
            known = ", ".join(str(run.id) for run in self.runs()) or "none"
            raise CvatError(f"there is no run {number} of this task; those there are: {known}")
        run = read_run(row)
        if command not in (None, run.command):
            raise CvatError(f"run {number} is one of promptable {run.command}: give its number to that")
        return run

    def runs(self) -> list[Run]:
        """All runs of all commands, oldest first."""
        return [read_run(row) for row in self._db.execute("SELECT * FROM runs ORDER BY id")]

    def frames(self, run: int, state: str) -> Sequence[int]:
        """The frames in this state (waiting, asked or failed), in order; eight bytes each."""
        rows = self._db.execute("SELECT frame FROM frames WHERE run = ? AND state = ? ORDER BY frame", (run, state))
        return array("q", (row["frame"] for row in rows))

    def errors(self, run: int) -> dict[int, str]:
        """The error message of each failed frame, by frame number."""
        rows = self._db.execute("SELECT frame, error FROM frames WHERE run = ? AND state = 'failed'", (run,))
        return {row["frame"]: row["error"] for row in rows}

    def places(self, run: int, state: str) -> list[tuple[int, int]]:
        """(job, frame) of the places in this state: waiting, sent or left (to people)."""
        rows = self._db.execute("SELECT job, frame FROM places WHERE run = ? AND state = ?", (run, state))
        return [(row["job"], row["frame"]) for row in rows]

    def asked_places(self, run: int) -> Iterator[tuple[int, int]]:
        """(job, frame) of the places whose frame the function has answered."""
        rows = self._db.execute(
            "SELECT job, p.frame FROM places p JOIN frames f ON f.run = p.run AND f.frame = p.frame "
            "WHERE p.run = ? AND f.state = 'asked'",
            (run,),
        )
        return ((row["job"], row["frame"]) for row in rows)

    def jobs_of_frame(self, run: int, frame: int) -> set[int]:
        """The jobs into which a run writes a frame's detections, without those where the frame was left to people."""
        rows = self._db.execute("SELECT job FROM places WHERE run = ? AND frame = ? AND state <> 'left'", (run, frame))
        return {row["job"] for row in rows}

    def sent_elsewhere(self, run: int, kind: str) -> dict[int, list[int]]:
        """The frames, by job, whose detections of a type (``kind``) a run has sent to another job that shows them."""
        rows = self._db.execute(
            "SELECT DISTINCT p.job, p.frame FROM places p JOIN detections d ON d.run = p.run AND d.frame = p.frame "
            "WHERE p.run = ? AND p.state = 'sent' AND d.chosen AND d.type = ? "
            "AND EXISTS (SELECT 1 FROM uploads WHERE detection = d.id) "
            "AND NOT EXISTS (SELECT 1 FROM uploads WHERE detection = d.id AND job = p.job) ORDER BY p.job, p.frame",
            (run, kind),
        )
        elsewhere: dict[int, list[int]] = {}
        for row in rows:
            elsewhere.setdefault(row["job"], []).append(row["frame"])
        return elsewhere

    def highest_before(self, run: int, job: int) -> dict[int, dict[str, int]]:
        """The highest ids of shapes and of tags in a job before each frame was uploaded to it, by frame."""
        rows = self._db.execute(
            "SELECT p.frame, b.after_shape AS shape, b.after_tag AS tag FROM places p JOIN batches b ON b.id = p.batch "
            "WHERE p.run = ? AND p.job = ?",
            (run, job),
        )
        return {row["frame"]: {"shape": row["shape"], "tag": row["tag"]} for row in rows}

    def detections(self, run: int, frame: int | None = None) -> Iterator[Found]:
        """What was found on a frame, or on all frames in order, uploaded or not, with scores down to 0.1."""
        if frame is not None:
            of_frame = "SELECT * FROM detections WHERE run = ? AND frame = ? ORDER BY id"
            return map(read_found, self._db.execute(of_frame, (run, frame)))
        return map(read_found, self._db.execute("SELECT * FROM detections WHERE run = ? ORDER BY frame, id", (run,)))

    def count_chosen(self, run: int) -> int:
        """How many detections are to be uploaded (``chosen``)."""
        return int(self._db.execute("SELECT count(*) FROM detections WHERE run = ? AND chosen", (run,)).fetchone()[0])

    def uploads(
        self, *, job: int | None = None, frame: int | None = None, run: int | None = None, state: str = "stored"
    ) -> Iterator[SentUpload]:
        """Shapes and tags in this state, of the given job, frame and run; None means all.

        ``stored`` ones were on the server when it was last asked; only the server knows what people have changed since.
        """
        given = {"job": job, "frame": frame, "run": run, "state": state}
        wanted = {column: value for column, value in given.items() if value is not None}
        where = " AND ".join(f"{column} = :{column}" for column in wanted)
        return map(read_upload, self._db.execute(f"SELECT * FROM uploads WHERE {where} ORDER BY id", wanted))  # noqa: S608

    def known_ids(self, job: int, kind: str) -> set[int]:
        """Every server id in the journal for one job and one kind (shape or tag)."""
        rows = self._db.execute(
            "SELECT server_id FROM uploads WHERE job = ? AND kind = ? AND server_id IS NOT NULL", (job, kind)
        )
        return {row["server_id"] for row in rows}

    def uploaded(self, run: int) -> int:
        """How many detections a run has stored on the server; one that is in two jobs counts once."""
        counted = "SELECT count(DISTINCT detection) FROM uploads WHERE run = ? AND state = 'stored'"
        return int(self._db.execute(counted, (run,)).fetchone()[0])

    def stored_by_frame(self, labels: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
        """(run, job, frame, count) of the shapes and tags that runs have stored for detections of these labels."""
        rows = self._db.execute(
            "SELECT u.run, u.job, u.frame, count(*) FROM uploads u JOIN detections d ON d.id = u.detection "
            "WHERE u.state = 'stored' AND d.label IN (SELECT value FROM json_each(?)) GROUP BY u.run, u.job, u.frame",
            (json.dumps(labels),),
        )
        return ((run, job, frame, count) for run, job, frame, count in rows)

    def histogram(
        self, run: int, bins: int, frames: Collection[int] | None = None
    ) -> Iterator[tuple[str, bool, int | None, int]]:
        """The histogram of the scores of a run's detections: (label, whether uploaded, bin of [0, 1], count).

        On these frames, or on all. The bin is None for detections without a score. A detection that is uploaded to two
        jobs counts once.
        """
        rows = self._db.execute(
            "SELECT label, EXISTS (SELECT 1 FROM uploads WHERE detection = detections.id AND state = 'stored') AS up, "
            "min(CAST(score * ? + 1e-6 AS INTEGER), ?) AS bin, count(*) "
            "FROM detections WHERE run = ? AND (? OR frame IN (SELECT value FROM json_each(?))) "
            "GROUP BY label, up, bin",
            (bins, bins - 1, run, frames is None, json.dumps(list(frames or ()))),
        )
        return ((label, bool(uploaded), number, count) for label, uploaded, number, count in rows)
