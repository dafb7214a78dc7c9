"""The labels of a task, by name and by id, and those that mark frames."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from promptable.config.labels import Mark
from promptable.cvat.detection import TAG
from promptable.cvat.labels.entries import MARKS
from promptable.cvat.labels.task_label import TaskLabel
from promptable.cvat.server.http.json_api import list_json


@dataclass(frozen=True)
class TaskLabels:
    """The labels of a task by name. ``marks`` are the names of tags that mark frames; the task may lack some."""

    by_name: Mapping[str, TaskLabel]
    marks: Mapping[str, Mark] = field(default_factory=lambda: MARKS)

    @cached_property
    def by_id(self) -> Mapping[int, TaskLabel]:
        """The labels by CVAT's ids."""
        return {label.id: label for label in self.by_name.values()}

    def get(self, name: str) -> TaskLabel | None:
        return self.by_name.get(name)

    def marking(self, mark: Mark) -> TaskLabel | None:
        """The label whose tags mark frames with ``mark``; None if the task has none."""
        labels = (self.get(name) for name, meant in self.marks.items() if meant is mark)
        return next((label for label in labels if label is not None and label.takes(TAG)), None)

    def unknown(self, entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The ``entries`` (``name``, ``type``) that the task lacks, those that mark frames included."""
        return [entry for entry in entries if entry["name"] not in self.by_name]

    def imagined(self, entries: Iterable[Mapping[str, Any]]) -> "TaskLabels":
        """The labels as they would be with ``entries`` added, for a dry run: the added ones have no id of CVAT."""
        added = {entry["name"]: TaskLabel(-1, entry["name"], entry["type"], ()) for entry in entries}
        return TaskLabels({**self.by_name, **added}, self.marks)

    def lacking(self, names: Iterable[str]) -> dict[str, list[str]]:
        """The names that the task lacks, each with the most similar names that it has."""
        plain = {name.lower(): name for name in self.by_name}
        return {
            name: [plain[near] for near in difflib.get_close_matches(name.lower(), plain, n=3, cutoff=0.5)]
            for name in names
            if name not in self.by_name
        }


def task_labels(client: Any, task: int, looked_for: Iterable[Mapping[str, Any]] = ()) -> TaskLabels:
    """The labels of a task; ``client`` is cvat-sdk's. Raises CvatError.

    Entries of ``looked_for`` with ``marks`` mark frames, in addition to ``needs-review`` and ``failed``.
    """
    entries = list_json(client.api_client.labels_api.list_endpoint, task_id=task)
    labels = [TaskLabel(one["id"], one["name"], one["type"], one["attributes"]) for one in entries]
    own = {str(entry["name"]): Mark(entry["marks"]) for entry in looked_for if entry.get("marks")}
    return TaskLabels({label.name: label for label in labels}, own | MARKS)
