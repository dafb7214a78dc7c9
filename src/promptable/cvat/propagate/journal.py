"""What runs of ``propagate`` keep beside those of ``annotate``, in the same file of a task: objects, steps, writes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import Journal, JournalReader, Run
from promptable.cvat.propagate.content import TRACK, keyframe_content, shape_content
from promptable.cvat.propagate.objects import Object, read_position

COMMAND = "propagate"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (run INTEGER, object TEXT);
CREATE TABLE IF NOT EXISTS steps (
    run INTEGER, direction INTEGER, frame INTEGER, found TEXT, states TEXT, PRIMARY KEY (run, direction, frame));
CREATE TABLE IF NOT EXISTS writes (
    id INTEGER PRIMARY KEY, run INTEGER, job INTEGER, action TEXT, items TEXT, state TEXT, after TEXT);
"""
"""writes: one request to a job each, waiting, sending (nobody knows whether it arrived) or stored. A run is following,
then writing."""


@dataclass(frozen=True)
class Step:
    """One frame: where each object is by its number, None where it is lost, and the states to go on from.

    A state is None while people say that the object is outside; one without a state has ended.
    """

    frame: int
    found: Mapping[int, Position | None]
    states: Mapping[int, Any]


@dataclass(frozen=True)
class Write:
    """One request: ``action`` create, update or delete, with ``items``.

    An item is ``kind`` (shape or track), ``new`` (None at delete), ``before`` (as the server had it, None at create)
    and, once the server has it, ``id``; of a track ``own`` are the frames of the keyframes that are not people's.
    ``object`` is whose it is. ``after`` are the highest ids of the job before a create was sent.
    """

    id: int
    run: int
    job: int
    action: str
    state: str
    items: Sequence[Mapping[str, Any]]
    after: Mapping[str, int]


class TrackJournal(Journal):
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

    def objects(self, run: int) -> list[Object]:
        rows = self._db.execute("SELECT object FROM objects WHERE run = ? ORDER BY rowid", (run,))
        return [Object.from_json(json.loads(row["object"])) for row in rows]

    def step(self, run: int, direction: int, step: Step, joined: Sequence[Object] = ()) -> None:
        """Note a frame, and the objects that joined on it. The states of the one before are no longer needed."""
        found = {number: position and vars(position) for number, position in step.found.items()}
        row = (run, direction, step.frame, json.dumps(found), json.dumps(step.states))
        with self._writing():
            self._db.execute("UPDATE steps SET states = NULL WHERE run = ? AND direction = ?", (run, direction))
            self._db.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?)", row)
            self._join(run, joined)

    def last_step(self, run: int, direction: int) -> Step | None:
        """Where to go on, without what was found there."""
        query = "SELECT * FROM steps WHERE run = ? AND direction = ? AND states IS NOT NULL"
        row = self._db.execute(query, (run, direction)).fetchone()
        return None if row is None else Step(row["frame"], {}, _by_number(row["states"]))

    def forget_steps(self, run: int, direction: int) -> None:
        """As if nothing had been followed in this direction, and no object had joined."""
        joined = "DELETE FROM objects WHERE run = ? AND json_extract(object, '$.joined') = ?"
        with self._writing():
            self._db.execute(joined, (run, direction))
            self._db.execute("DELETE FROM steps WHERE run = ? AND direction = ?", (run, direction))

    def last_seen(self, run: int, direction: int, number: int) -> Position | None:
        """Where an object was found last in a direction; None where it never was."""
        path = f'$."{number}"'
        row = self._db.execute(
            "SELECT json_extract(found, ?) AS one FROM steps WHERE run = ? AND direction = ? AND "
            "json_type(found, ?) = 'object' ORDER BY frame * direction DESC LIMIT 1",
            (path, run, direction, path),
        ).fetchone()
        return None if row is None else read_position(json.loads(row["one"]))

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

    def followed(self, run: int) -> list[int]:
        """The frames that were followed through, in order."""
        rows = self._db.execute("SELECT DISTINCT frame FROM steps WHERE run = ? ORDER BY frame", (run,))
        return [row["frame"] for row in rows]

    def plan_writes(self, run: int, writes: Iterable[tuple[int, str, Sequence[Mapping[str, Any]]]]) -> None:
        """Note all that is to be sent, as job, action and items, in order; it is on the disk when this returns."""
        rows = ((run, job, action, json.dumps(items), "waiting", "{}") for job, action, items in writes)
        with self._writing(durable=True):
            self._db.executemany(
                "INSERT INTO writes (run, job, action, items, state, after) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            self._db.execute("UPDATE runs SET state = 'writing' WHERE id = ?", (run,))

    def writes(self, run: int) -> Iterator[Write]:
        """In order; each is read when its turn comes: together they may be larger than memory."""
        numbers = self._db.execute("SELECT id FROM writes WHERE run = ? ORDER BY id", (run,)).fetchall()
        query = "SELECT * FROM writes WHERE id = ?"
        yield from (_write(self._db.execute(query, (row["id"],)).fetchone()) for row in numbers)

    def about_to_send(self, write: Write) -> None:
        """A create is about to be sent; it is on the disk when this returns."""
        with self._writing(durable=True):
            row = (json.dumps(write.after), write.id)
            self._db.execute("UPDATE writes SET state = 'sending', after = ? WHERE id = ?", row)

    def arrived(self, write: Write, items: Sequence[Mapping[str, Any]]) -> None:
        """A write is on the server; ``items`` as they came to be there."""
        self._db.execute("UPDATE writes SET state = 'stored', items = ? WHERE id = ?", (json.dumps(items), write.id))

    def unfinished(self) -> Run | None:
        """The run of this command that is not at its end; one that was stopped before it had its objects is none."""
        open_ones = [run for run in self.runs() if run.command == COMMAND and run.state in ("following", "writing")]
        return open_ones[-1] if open_ones else None

    def ours(self) -> "Ours":
        """All that runs of this command have written into the task."""
        rows = self._db.execute("SELECT * FROM writes WHERE state = 'stored' AND action <> 'delete'").fetchall()
        return Ours([item for row in rows for item in json.loads(row["items"]) if item.get("id") is not None])


class TrackReader(JournalReader):
    """What runs have written, for who measures what people did to it since; the file is not changed."""

    def stored(self, job: int) -> list[Write]:
        """What runs that were not taken back have sent to a job, in order."""
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'writes'").fetchone():
            return []  # no run of this command has ever begun
        rows = self._db.execute(
            "SELECT w.* FROM writes w JOIN runs r ON r.id = w.run WHERE w.job = ? AND w.state = 'stored' AND "
            "r.state <> 'undone' ORDER BY w.id",
            (job,),
        )
        return [_write(row) for row in rows]


class Ours:
    """What runs have written, by the server's ids: keyframes of tracks, and shapes."""

    def __init__(self, items: Sequence[Mapping[str, Any]]) -> None:
        self._keyframes: dict[int, set[tuple[Any, ...]]] = {}
        self._shapes: dict[int, set[tuple[Any, ...]]] = {}
        for item in items:
            if item["kind"] == TRACK:
                keys = {keyframe_content(key) for key in item["new"]["shapes"] if key["frame"] in item["own"]}
                self._keyframes.setdefault(item["id"], set()).update(keys)
            else:
                self._shapes.setdefault(item["id"], set()).add(shape_content(item["new"]))

    def keyframes(self, track: int) -> set[tuple[Any, ...]]:
        """The contents of the keyframes that runs gave to a track."""
        return self._keyframes.get(track, set())

    def has(self, shape: Mapping[str, Any]) -> bool:
        """Whether a shape is as a run wrote it."""
        return shape_content(shape) in self._shapes.get(shape["id"], set())


def _by_number(text: str) -> dict[int, Any]:
    return {int(number): value for number, value in json.loads(text).items()}


def _write(row: Any) -> Write:
    items, after = json.loads(row["items"]), json.loads(row["after"])
    return Write(row["id"], row["run"], row["job"], row["action"], row["state"], items, after)
