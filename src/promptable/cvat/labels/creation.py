"""Creating labels in a task or its project."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.config.labels import ATTRIBUTES
from promptable.cvat.server.http.json_api import send_json


def create_labels(client: Any, task: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add labels to a task (cvat-sdk's), or to its project if it has one: its labels are the project's.

    ``entries`` have ``name``, ``type`` and ``attributes`` as in ``labels.yaml``. Raises CvatError.
    """
    wanted = [{"name": entry["name"], "type": entry["type"], "attributes": _new_attributes(entry)} for entry in entries]
    where = f"/api/projects/{task.project_id}" if task.project_id else f"/api/tasks/{task.id}"
    send_json(client, "PATCH", where, {"labels": wanted})


def _new_attributes(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The attributes of an entry as CVAT takes them; a label for detections also gets confidence and review."""
    ours = () if entry.get("marks") else ATTRIBUTES
    by_name = {spec["name"]: spec for spec in (*entry.get("attributes", ()), *ours)}
    return [{"mutable": False, "default_value": _default(spec), **spec} for spec in by_name.values()]


def _default(spec: Mapping[str, Any]) -> str:
    """The default that CVAT's editor would give an attribute: its first value; for a number, that is the lowest."""
    return next(iter(spec["values"]), "false" if spec["input_type"] == "checkbox" else "")
