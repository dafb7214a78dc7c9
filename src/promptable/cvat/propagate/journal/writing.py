"""Writing the journal of ``propagate``: what a run is about to do, and what it has done."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from promptable.cvat.journal import Journal, Run
from promptable.cvat.journal.database import now
from promptable.cvat.propagate.journal.reading import COMMAND, TrackReader
from promptable.cvat.propagate.journal.records import Key, Step, Write, read_write
from promptable.cvat.propagate.objects import Object

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (run INTEGER, object TEXT);
CREATE TABLE IF NOT EXISTS steps (
    run INTEGER, direction INTEGER, frame INTEGER, found TEXT, states TEXT, PRIMARY KEY (run, direction, frame));
CREATE TABLE IF NOT EXISTS writes (
    id INTEGER PRIMARY KEY, run INTEGER, job INTEGER, action TEXT, items TEXT, state TEXT, after TEXT);
CREATE TABLE IF NOT EXISTS late_writes (write INTEGER PRIMARY KEY, at TEXT);
CREATE TABLE IF NOT EXISTS planned_after (run INTEGER, job INTEGER, ids TEXT, PRIMARY KEY (run, job));
"""
"""The tables that ``propagate`` adds:

- objects: the objects of a run, in JSON;
- steps: what was found on a frame in a direction; only the last step of a direction has ``states``;
- writes: one request to a job each; its state is waiting, sending (unknown whether it arrived) or stored;
- late_writes: the writes that were sent twice, or given up, while a request of theirs may still arrive;
- planned_after: the highest ids in a job when its writes were planned.

A run of this command has the state following, then writing, before it is finished.
"""


class TrackJournal(TrackReader, Journal):
    """The journal of a task with what ``propagate`` adds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._db.executescript(_SCHEMA)

    def begin_objects(self, options: Mapping[str, Any], model: Mapping[str, Any], objects: Sequence[Object]) -> Run:
        """Begin a run that follows these objects."""
        run = self.begin(COMMAND, options, model, ())
        with self._writing():
            self._join(run.id, objects)
            self._db.execute("UPDATE runs SET state = 'following' WHERE id = ?", (run.id,))
        return self.run(run.id)

    def _join(self, run: int, objects: Iterable[Object]) -> None:
        rows = [(run, json.dumps(one.as_json())) for one in objects]
        self._db.executemany("INSERT INTO objects VALUES (?, ?)", rows)

    def step(self, run: int, direction: int, step: Step, joined: Sequence[Object] = ()) -> None:
        """Write a step, and the objects that joined on its frame. Drops the states of the step before."""
        found = {number: position and vars(position) for number, position in step.found.items()}
        row = (run, direction, step.frame, json.dumps(found), json.dumps(step.states))
        with self._writing():
            self._db.execute("UPDATE steps SET states = NULL WHERE run = ? AND direction = ?", (run, direction))
            self._db.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?)", row)
            self._join(run, joined)

    def forget_steps(self, run: int, direction: int) -> None:
        """Delete the steps of a direction, and the objects that joined on its way."""
        joined = "DELETE FROM objects WHERE run = ? AND json_extract(object, '$.joined') = ?"
        with self._writing():
            self._db.execute(joined, (run, direction))
            self._db.execute("DELETE FROM steps WHERE run = ? AND direction = ?", (run, direction))

    def plan_writes(
        self,
        run: int,
        writes: Iterable[tuple[int, str, Sequence[Mapping[str, Any]]]],
        highest: Mapping[int, Mapping[str, int]],
    ) -> None:
        """Write all requests of a run, as (job, action, items), in order; they are on the disk when this returns.

        ``highest`` are the highest ids in each job, by kind, in the annotations from which the requests were made.
        """
        rows = ((run, job, action, json.dumps(items), "waiting", "{}") for job, action, items in writes)
        with self._writing(durable=True):
            self._db.executemany(
                "INSERT INTO writes (run, job, action, items, state, after) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            ids = ((run, job, json.dumps(after)) for job, after in highest.items())
            self._db.executemany("INSERT OR REPLACE INTO planned_after VALUES (?, ?, ?)", ids)
            self._db.execute("UPDATE runs SET state = 'writing' WHERE id = ?", (run,))

    def planned_after(self, run: int) -> dict[int, Mapping[str, int]]:
        """The highest ids in each job, by kind, when the run's writes were planned."""
        rows = self._db.execute("SELECT job, ids FROM planned_after WHERE run = ?", (run,))
        return {row["job"]: json.loads(row["ids"]) for row in rows}

    def jobs_to_write(self, run: int) -> list[int]:
        """The jobs with writes that are not known to be on the server."""
        rows = self._db.execute("SELECT DISTINCT job FROM writes WHERE run = ? AND state <> 'stored'", (run,))
        return [row["job"] for row in rows]

    def came_to_nothing(self, run: int) -> bool:
        """Whether a run had objects to follow, and CVAT stores nothing of it."""
        written = self._db.execute("SELECT 1 FROM writes WHERE run = ? AND state = 'stored'", (run,)).fetchone()
        return written is None and bool(self.objects(run))

    def jobs_created_in(self, run: int) -> list[int]:
        """The jobs in which a run has created annotations."""
        created = "SELECT DISTINCT job FROM writes WHERE run = ? AND action = 'create' AND state = 'stored'"
        return [row["job"] for row in self._db.execute(created, (run,))]

    def about_to_send(self, write: Write) -> None:
        """Note that a write is about to be sent; it is on the disk when this returns."""
        with self._writing(durable=True):
            row = (json.dumps(write.after), write.id)
            self._db.execute("UPDATE writes SET state = 'sending', after = ? WHERE id = ?", row)

    def waits_again(self, write: Write) -> None:
        """Note that the server has stored nothing of a write."""
        with self._writing():
            self._db.execute("UPDATE writes SET state = 'waiting' WHERE id = ?", (write.id,))

    def may_arrive_late(self, write: Write) -> None:
        """Note that a write, which may have reached the server, is sent once more or waited for no longer."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO late_writes VALUES (?, ?)", (write.id, now()))

    def late_writes(self) -> list[tuple[Write, datetime]]:
        """The writes of which an earlier request may still arrive, each with the time when that was noted.

        Without those that an unfinished run will look for itself, and those of runs that were given up.
        """
        rows = self._db.execute(
            "SELECT w.*, l.at FROM late_writes l JOIN writes w ON w.id = l.write JOIN runs r ON r.id = w.run "
            "WHERE w.state = 'stored' OR r.state IN ('finished', 'undone') ORDER BY w.id"
        ).fetchall()
        return [(read_write(row), datetime.fromisoformat(row["at"])) for row in rows]

    def write_arrives_no_more(self, write: Write) -> None:
        """Note that no request of a write can still arrive."""
        self._db.execute("DELETE FROM late_writes WHERE write = ?", (write.id,))

    def changed_since(self, write: Write) -> set[Key]:
        """The annotations that later writes into the same job have changed."""
        query = "SELECT items FROM writes WHERE job = ? AND id > ? AND state <> 'waiting'"
        rows = self._db.execute(query, (write.job, write.id))
        return {(item["kind"], item["id"]) for row in rows for item in json.loads(row["items"]) if item.get("id")}

    def written_ids(self, job: int) -> set[Key]:
        """The annotations that runs have created or updated in a job."""
        rows = self._db.execute("SELECT items FROM writes WHERE job = ? AND action <> 'delete'", (job,))
        return {(item["kind"], item["id"]) for row in rows for item in json.loads(row["items"]) if item.get("id")}

    def arrived(self, write: Write, items: Sequence[Mapping[str, Any]]) -> None:
        """Note that a write is on the server; ``items`` are its items with the server's ids."""
        self._db.execute("UPDATE writes SET state = 'stored', items = ? WHERE id = ?", (json.dumps(items), write.id))
