"""What is in the journal of ``propagate``, for who goes on with a run, shows it, or measures what became of it."""

import json
from collections.abc import Iterator
from typing import Any

from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import JournalReader, Run
from promptable.cvat.propagate.journal.records import Ours, Step, Write, read_write
from promptable.cvat.propagate.objects import Object, read_position

COMMAND = "propagate"


class TrackReader(JournalReader):
    """The journal of a task with what ``propagate`` adds, read and never changed.

    All but ``written_to`` need a run of that command.
    """

    def objects(self, run: int) -> list[Object]:
        rows = self._db.execute("SELECT object FROM objects WHERE run = ? ORDER BY rowid", (run,))
        return [Object.from_json(json.loads(row["object"])) for row in rows]

    def last_step(self, run: int, direction: int) -> Step | None:
        """Where to go on, without what was found there."""
        query = "SELECT * FROM steps WHERE run = ? AND direction = ? AND states IS NOT NULL"
        row = self._db.execute(query, (run, direction)).fetchone()
        return None if row is None else Step(row["frame"], {}, _by_number(row["states"]))

    def last_seen(self, run: int, direction: int, number: int) -> Position | None:
        """Where an object was found last in a direction; None where it never was."""
        path = f'$."{number}"'
        row = self._db.execute(
            "SELECT json_extract(found, ?) AS one FROM steps WHERE run = ? AND direction = ? AND "
            "json_type(found, ?) = 'object' ORDER BY frame * direction DESC LIMIT 1",
            (path, run, direction, path),
        ).fetchone()
        return None if row is None else read_position(json.loads(row["one"]))

    def found_on(self, run: int, frame: int) -> dict[int, Position]:
        """Where objects were found on a frame, by their number, in whatever direction."""
        rows = self._db.execute("SELECT found FROM steps WHERE run = ? AND frame = ?", (run, frame))
        found = {number: position for row in rows for number, position in _by_number(row["found"]).items()}
        return {number: read for number, one in found.items() if (read := read_position(one)) is not None}

    def positions(self, run: int, number: int) -> Iterator[tuple[int, Position | None]]:
        """Frame and what was found there of an object, by frame."""
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
        """In which objects were followed: 1, -1, and the ways back of what joined."""
        rows = self._db.execute("SELECT DISTINCT direction FROM steps WHERE run = ? ORDER BY direction DESC", (run,))
        return [row["direction"] for row in rows]

    def followed(self, run: int) -> list[int]:
        """The frames that were followed through, in order."""
        rows = self._db.execute("SELECT DISTINCT frame FROM steps WHERE run = ? ORDER BY frame", (run,))
        return [row["frame"] for row in rows]

    def writes(self, run: int) -> Iterator[Write]:
        """In order; each is read when its turn comes: together they may be larger than memory."""
        numbers = self._db.execute("SELECT id FROM writes WHERE run = ? ORDER BY id", (run,)).fetchall()
        query = "SELECT * FROM writes WHERE id = ?"
        yield from (read_write(self._db.execute(query, (row["id"],)).fetchone()) for row in numbers)

    def unfinished(self) -> Run | None:
        """The run of this command that is not at its end; one that was stopped before it had its objects is none."""
        open_ones = [run for run in self.runs() if run.command == COMMAND and run.state in ("following", "writing")]
        return open_ones[-1] if open_ones else None

    def ours(self) -> Ours:
        """All that runs of this command have written into the task, or taken out of it."""
        rows = self._db.execute("SELECT * FROM writes WHERE state = 'stored'").fetchall()
        begun = self._db.execute("SELECT run, object FROM objects").fetchall()
        undone = {run.id for run in self.runs() if run.state == "undone"}
        return Ours(
            [read_write(row) for row in rows], [(row["run"], json.loads(row["object"])) for row in begun], undone
        )

    def written_to(self, job: int) -> list[Write]:
        """What runs that were not taken back have sent to a job, in order."""
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'writes'").fetchone():
            return []  # no run of this command has ever begun
        rows = self._db.execute(
            "SELECT w.* FROM writes w JOIN runs r ON r.id = w.run WHERE w.job = ? AND w.state = 'stored' AND "
            "r.state <> 'undone' ORDER BY w.id",
            (job,),
        )
        return [read_write(row) for row in rows]


def _by_number(text: str) -> dict[int, Any]:
    return {int(number): value for number, value in json.loads(text).items()}
