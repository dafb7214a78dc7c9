"""New labels for a task."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.config.labels import ATTRIBUTES
from promptable.cvat.server.http.json_api import send_json


def create_labels(client: Any, task: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add labels (``name``, ``type``, ``attributes`` as in ``labels.yaml``) to a task, or to its project, whose labels
    are the task's. Raises CvatError."""
    wanted = [{"name": entry["name"], "type": entry["type"], "attributes": _new_attributes(entry)} for entry in entries]
    where = f"/api/projects/{task.project_id}" if task.project_id else f"/api/tasks/{task.id}"
    send_json(client, "PATCH", where, {"labels": wanted})


def _new_attributes(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A label's own attributes, and ours where it is for detections, as CVAT takes them."""
    ours = () if entry.get("marks") else ATTRIBUTES
    by_name = {spec["name"]: spec for spec in (*entry.get("attributes", ()), *ours)}
    return [{"mutable": False, "default_value": _default(spec), **spec} for spec in by_name.values()]


def _default(spec: Mapping[str, Any]) -> str:
    """The first of its values, of a number the lowest, as CVAT's editor begins."""
    return next(iter(spec["values"]), "false" if spec["input_type"] == "checkbox" else "")
