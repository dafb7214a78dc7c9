"""Noting what a run of ``propagate`` is about to do, and what it did."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from promptable.cvat.journal import Journal, Run
from promptable.cvat.journal.database import now
from promptable.cvat.propagate.journal.reading import COMMAND, TrackReader
from promptable.cvat.propagate.journal.records import Step, Write, read_write
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
"""writes: one request to a job each, waiting, sending (nobody knows whether it arrived) or stored; late_writes are
those of which an earlier request may still arrive; planned_after has the highest ids of a job when its writes were
planned. A run is following, then writing."""


class TrackJournal(TrackReader, Journal):
    """The journal of a task with what ``propagate`` adds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._db.executescript(_SCHEMA)

    def begin_objects(self, options: Mapping[str, Any], model: Mapping[str, Any], objects: Sequence[Object]) -> Run:
        """A run that follows these objects."""
        run = self.begin(COMMAND, options, model, ())
        with self._writing():
            self._join(run.id, objects)
            self._db.execute("UPDATE runs SET state = 'following' WHERE id = ?", (run.id,))
        return self.run(run.id)

    def _join(self, run: int, objects: Iterable[Object]) -> None:
        rows = [(run, json.dumps(one.as_json())) for one in objects]
        self._db.executemany("INSERT INTO objects VALUES (?, ?)", rows)

    def step(self, run: int, direction: int, step: Step, joined: Sequence[Object] = ()) -> None:
        """Note a frame, and the objects that joined on it. The states of the one before are no longer needed."""
        found = {number: position and vars(position) for number, position in step.found.items()}
        row = (run, direction, step.frame, json.dumps(found), json.dumps(step.states))
        with self._writing():
            self._db.execute("UPDATE steps SET states = NULL WHERE run = ? AND direction = ?", (run, direction))
            self._db.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?)", row)
            self._join(run, joined)

    def forget_steps(self, run: int, direction: int) -> None:
        """As if nothing had been followed in this direction, and no object had joined."""
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
        """Note all that is to be sent, as job, action and items, in order; it is on the disk when this returns.

        ``highest`` are the highest ids by job, of what the plan was made from.
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
        """By job, the highest ids of each kind when a run planned what to write."""
        rows = self._db.execute("SELECT job, ids FROM planned_after WHERE run = ?", (run,))
        return {row["job"]: json.loads(row["ids"]) for row in rows}

    def jobs_to_write(self, run: int) -> list[int]:
        """The jobs for which something was planned that is not known to be on the server."""
        rows = self._db.execute("SELECT DISTINCT job FROM writes WHERE run = ? AND state <> 'stored'", (run,))
        return [row["job"] for row in rows]

    def jobs_created_in(self, run: int) -> list[int]:
        """The jobs into which a run has created something."""
        created = "SELECT DISTINCT job FROM writes WHERE run = ? AND action = 'create' AND state = 'stored'"
        return [row["job"] for row in self._db.execute(created, (run,))]

    def about_to_send(self, write: Write) -> None:
        """A write is about to be sent; it is on the disk when this returns."""
        with self._writing(durable=True):
            row = (json.dumps(write.after), write.id)
            self._db.execute("UPDATE writes SET state = 'sending', after = ? WHERE id = ?", row)

    def waits_again(self, write: Write) -> None:
        """The server has stored nothing of a write."""
        with self._writing():
            self._db.execute("UPDATE writes SET state = 'waiting' WHERE id = ?", (write.id,))

    def may_arrive_late(self, write: Write) -> None:
        """A write that may have been sent goes once more, or is waited for no longer."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO late_writes VALUES (?, ?)", (write.id, now()))

    def late_writes(self) -> list[tuple[Write, datetime]]:
        """The writes of which an earlier request may still arrive, and when they were sent last.

        Not one that a run may go on with, which takes what arrived for its own, nor one of a run that was given up.
        """
        rows = self._db.execute(
            "SELECT w.*, l.at FROM late_writes l JOIN writes w ON w.id = l.write JOIN runs r ON r.id = w.run "
            "WHERE w.state = 'stored' OR r.state IN ('finished', 'undone') ORDER BY w.id"
        ).fetchall()
        return [(read_write(row), datetime.fromisoformat(row["at"])) for row in rows]

    def write_arrives_no_more(self, write: Write) -> None:
        """Nothing of a write is on its way any more."""
        self._db.execute("DELETE FROM late_writes WHERE write = ?", (write.id,))

    def changed_since(self, write: Write) -> set[tuple[str, int]]:
        """Kind and the server's id of all that later writes into the job of one have changed."""
        query = "SELECT items FROM writes WHERE job = ? AND id > ? AND state <> 'waiting'"
        rows = self._db.execute(query, (write.job, write.id))
        return {(item["kind"], item["id"]) for row in rows for item in json.loads(row["items"]) if item.get("id")}

    def written_ids(self, job: int) -> set[tuple[str, int]]:
        """Kind and the server's id of all that runs have written into a job."""
        rows = self._db.execute("SELECT items FROM writes WHERE job = ? AND action <> 'delete'", (job,))
        return {(item["kind"], item["id"]) for row in rows for item in json.loads(row["items"]) if item.get("id")}

    def arrived(self, write: Write, items: Sequence[Mapping[str, Any]]) -> None:
        """A write is on the server; ``items`` as they came to be there."""
        self._db.execute("UPDATE writes SET state = 'stored', items = ? WHERE id = ?", (json.dumps(items), write.id))
