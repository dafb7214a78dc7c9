"""Following a task's labels: when a task is moved into a project, its labels get the ids of the project's labels.

The ids in the journal are then replaced by those of the labels with the same names.
"""

import json
import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptable.cvat.journal.database import open_to_read, path_of
from promptable.cvat.journal.writable import WritableJournal

_ANNOTATION_COLUMNS = (("uploads", "payload"), ("deleted", "item"), ("writes", "items"), ("objects", "object"))
"""Tables and columns that contain annotations as JSON; the last two are those of ``propagate``."""


@dataclass(frozen=True)
class Renumbered:
    """The new ids of labels, and of their attributes, by the old ones."""

    labels: Mapping[int, int]
    specs: Mapping[int, int]
    lost: Sequence[str]
    """The names of labels that the task no longer has."""

    def in_json(self, text: str) -> str:
        """The annotations in a JSON text, with the new ids."""
        return json.dumps(self._in(json.loads(text)))

    def _in(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._of(key, held) for key, held in value.items()}
            case list():
                return [self._in(one) for one in value]
        return value

    def _of(self, key: str, value: Any) -> Any:
        match key:
            case "label_id":
                return self.labels.get(value, value)
            case "spec_id":
                return self.specs.get(value, value)
            case "points":
                return value
        return self._in(value)


class Labels(WritableJournal):
    """The part of a journal about its task's labels."""

    def follow_labels(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Write the labels of the task, as CVAT lists them, and give annotations in the journal their new ids.

        Reports lost labels on stderr.
        """
        rows = [(name, one["id"], json.dumps(_specs(one))) for name, one in _by_name(listed).items()]
        known = [tuple(row) for row in self._db.execute("SELECT name, id, specs FROM labels")]
        if sorted(rows) == sorted(known):
            return
        renumbered = _renumbered(self._db, listed)
        if renumbered.lost:
            names = ", ".join(map(repr, renumbered.lost))
            sys.stderr.write(f"the task has lost the label {names}: what runs wrote under it counts as people's\n")
        with self._writing(durable=True):
            if renumbered.labels:
                self._renumber(renumbered)
            self._db.execute("DELETE FROM labels")
            self._db.executemany("INSERT INTO labels VALUES (?, ?, ?)", rows)

    def _renumber(self, renumbered: Renumbered) -> None:
        self._db.create_function("renumbered", 1, renumbered.in_json)
        for table, column in _ANNOTATION_COLUMNS:
            if _has_table(self._db, table):
                self._db.execute(f"UPDATE {table} SET {column} = renumbered({column})")  # noqa: S608


def up_to_date(client: Any, task: Any) -> Path | None:
    """The path of a task's journal, with the labels that the task has now; None if there is no journal.

    ``client`` and ``task`` are cvat-sdk's. Raises CvatError.
    """
    path = path_of(client, task)
    if not path.exists():
        return None
    listed = labels_of(client, task)
    with closing(open_to_read(path)) as database:
        has_moved = bool(_renumbered(database, listed).labels)
    if has_moved:
        with closing(Labels(path)) as journal:
            journal.follow_labels(listed)
    return path


def labels_of(client: Any, task: Any) -> list[Mapping[str, Any]]:
    """The labels of a task (cvat-sdk's), as CVAT lists them. Raises CvatError."""
    from promptable.cvat.server.http.json_api import list_json

    return list_json(client.api_client.labels_api.list_endpoint, task_id=task.id)


def _renumbered(database: sqlite3.Connection, listed: Iterable[Mapping[str, Any]]) -> Renumbered:
    """The new ids of labels in the journal whose ids the task no longer has, found by their names."""
    now, labels, specs = _by_name(listed), dict[int, int](), dict[int, int]()
    there = {one["id"] for one in now.values()}
    known = database.execute("SELECT name, id, specs FROM labels") if _has_table(database, "labels") else ()
    gone = [row for row in known if row["id"] not in there]
    for row in (row for row in gone if row["name"] in now):
        own = _specs(now[row["name"]])
        labels[row["id"]] = now[row["name"]]["id"]
        specs |= {number: own[name] for name, number in json.loads(row["specs"]).items() if name in own}
    return Renumbered(labels, specs, [row["name"] for row in gone if row["name"] not in now])


def _by_name(listed: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Labels by name; the labels of a skeleton's points are named skeleton/point."""
    own = {str(one["name"]): one for one in listed}
    points = {f"{name}/{one['name']}": one for name, label in own.items() for one in label.get("sublabels", ())}
    return {**own, **points}


def _specs(label: Mapping[str, Any]) -> dict[str, int]:
    """The ids of a label's attributes, by name."""
    return {spec["name"]: spec["id"] for spec in label["attributes"]}


def _has_table(database: sqlite3.Connection, name: str) -> bool:
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None
