"""Reading the journal of ``propagate``: to resume a run, to show it, or to measure what became of it."""

import json
from collections.abc import Iterator
from typing import Any

from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import JournalReader, Run
from promptable.cvat.propagate.journal.records import Step, Write, read_write
from promptable.cvat.propagate.journal.run_writes import RunWrites
from promptable.cvat.propagate.objects import Object, read_position

COMMAND = "propagate"


class TrackReader(JournalReader):
    """The journal of a task with what ``propagate`` adds, read-only.

    ``runs`` and ``written_to`` work in every journal; the others need one in which a run of this command has begun.
    """

    def objects(self, run: int) -> list[Object]:
        """The objects of a run, those that joined on the way included, by number."""
        rows = self._db.execute("SELECT object FROM objects WHERE run = ? ORDER BY rowid", (run,))
        return [Object.from_json(json.loads(row["object"])) for row in rows]

    def last_step(self, run: int, direction: int) -> Step | None:
        """The last step in a direction, with its states but not what was found; None if there is none."""
        query = "SELECT * FROM steps WHERE run = ? AND direction = ? AND states IS NOT NULL"
        row = self._db.execute(query, (run, direction)).fetchone()
        return None if row is None else Step(row["frame"], {}, _by_number(row["states"]))

    def last_seen(self, run: int, direction: int, number: int) -> Position | None:
        """Where an object was found last in a direction; None if it never was."""
        path = f'$."{number}"'
        row = self._db.execute(
            "SELECT json_extract(found, ?) AS one FROM steps WHERE run = ? AND direction = ? AND "
            "json_type(found, ?) = 'object' ORDER BY frame * direction DESC LIMIT 1",
            (path, run, direction, path),
        ).fetchone()
        return None if row is None else read_position(json.loads(row["one"]))

    def found_on(self, run: int, frame: int) -> dict[int, Position]:
        """Where objects were found on a frame, by their number, in any direction."""
        rows = self._db.execute("SELECT found FROM steps WHERE run = ? AND frame = ?", (run, frame))
        found = {number: position for row in rows for number, position in _by_number(row["found"]).items()}
        return {number: read for number, one in found.items() if (read := read_position(one)) is not None}

    def positions(self, run: int, number: int) -> Iterator[tuple[int, Position | None]]:
        """(frame, position) of an object, sorted by frame; None where it was lost."""
        path = f'$."{number}"'
        rows = self._db.execute(
            "SELECT frame, json_extract(found, ?) AS one FROM steps WHERE run = ? AND json_type(found, ?) IS NOT NULL "
            "ORDER BY frame",
            (path, run, path),
        )
        yield from ((row["frame"], read_position(json.loads(row["one"] or "null"))) for row in rows)

    def along(self, run: int, number: int, direction: int) -> Iterator[tuple[int, Position | None]]:
        """As ``positions``, of one direction, in the order in which the object was followed."""
        path = f'$."{number}"'
        rows = self._db.execute(
            "SELECT frame, json_extract(found, ?) AS one FROM steps WHERE run = ? AND direction = ? AND "
            "json_type(found, ?) IS NOT NULL ORDER BY frame * direction",
            (path, run, direction, path),
        )
        yield from ((row["frame"], read_position(json.loads(row["one"] or "null"))) for row in rows)

    def scores(self, run: int, number: int) -> Iterator[tuple[int, float | None]]:
        """Frame and the tracker's score of an object there, None where it was lost."""
        rows = self._db.execute(
            "SELECT frame, json_extract(found, ?) AS score FROM steps "
            "WHERE run = ? AND json_type(found, ?) IS NOT NULL",
            (f'$."{number}".score', run, f'$."{number}"'),
        )
        yield from ((row["frame"], row["score"]) for row in rows)

    def directions(self, run: int) -> list[int]:
        """The directions of a run's steps: 1, -1, and those of the ways back of objects that joined (``BACK``)."""
        rows = self._db.execute("SELECT DISTINCT direction FROM steps WHERE run = ? ORDER BY direction DESC", (run,))
        return [row["direction"] for row in rows]

    def followed(self, run: int) -> list[int]:
        """The frames with a step in any direction, in order."""
        rows = self._db.execute("SELECT DISTINCT frame FROM steps WHERE run = ? ORDER BY frame", (run,))
        return [row["frame"] for row in rows]

    def writes(self, run: int) -> Iterator[Write]:
        """The writes of a run, in order. Each is read when its turn comes: together they may be larger than memory."""
        numbers = self._db.execute("SELECT id FROM writes WHERE run = ? ORDER BY id", (run,)).fetchall()
        query = "SELECT * FROM writes WHERE id = ?"
        yield from (read_write(self._db.execute(query, (row["id"],)).fetchone()) for row in numbers)

    def unfinished(self) -> Run | None:
        """The unfinished run of this command. One that was stopped before it had its objects does not count."""
        open_ones = [run for run in self.runs() if run.command == COMMAND and run.state in ("following", "writing")]
        return open_ones[-1] if open_ones else None

    def run_writes(self) -> RunWrites:
        """What all runs of this command have written into the task."""
        rows = self._db.execute("SELECT * FROM writes WHERE state = 'stored'").fetchall()
        begun = self._db.execute("SELECT run, object FROM objects").fetchall()
        undone = {run.id for run in self.runs() if run.state == "undone"}
        writes = [read_write(row) for row in rows]
        return RunWrites(writes, [(row["run"], json.loads(row["object"])) for row in begun], undone)

    def written_to(self, job: int) -> list[Write]:
        """The writes that a job has stored of runs that were not taken back, in order."""
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'writes'").fetchone():
            return []  # no run of this command has begun
        rows = self._db.execute(
            "SELECT w.* FROM writes w JOIN runs r ON r.id = w.run WHERE w.job = ? AND w.state = 'stored' AND "
            "r.state <> 'undone' ORDER BY w.id",
            (job,),
        )
        return [read_write(row) for row in rows]


def _by_number(text: str) -> dict[int, Any]:
    return {int(number): value for number, value in json.loads(text).items()}
