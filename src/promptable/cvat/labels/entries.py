"""Entries of a ``labels.yaml``: read from a file, or made from the labels of a CVAT task or project."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from promptable.config.labels import CONFIDENCE, REVIEW, LabelError, LabelType, Mark, render
from promptable.cvat.server.errors import CvatError

ANY = "any"
"""CVAT's type of a label that takes shapes of every type."""
MARKS = {"needs-review": Mark.REVIEW, "failed": Mark.FAILURE}
"""Tags with these names mark frames; models do not look for them."""


@dataclass(frozen=True)
class CvatLabels:
    """Entries for ``config.labels.render``, and the names of labels whose shape type the detector cannot answer."""

    entries: tuple[str | Mapping[str, str], ...]
    left_out: tuple[str, ...]

    @property
    def tags(self) -> list[str]:
        """The names of the tags that a detector would look for."""
        mappings = [entry for entry in self.entries if not isinstance(entry, str)]
        return [entry["name"] for entry in mappings if entry["type"] == LabelType.TAG and "marks" not in entry]

    def to_yaml(self) -> str:
        """The text of a ``labels.yaml``."""
        return yaml.safe_dump(list(self.entries), sort_keys=False, allow_unicode=True)


def fetch(client: Any, task: int | None = None, project: int | None = None) -> CvatLabels:
    """The labels of a task or of a project, as entries. ``client`` is cvat-sdk's. Raises CvatError."""
    return labels_of(listed(client, task, project))


def listed(client: Any, task: int | None = None, project: int | None = None) -> list[Mapping[str, Any]]:
    """The labels of a task or of a project, as CVAT lists them: ``id``, ``name``, ``type``, ``attributes``.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    from promptable.cvat.server.http.json_api import list_json

    api = client.api_client.tasks_api if project is None else client.api_client.projects_api
    api.retrieve(task if project is None else project, _parse_response=False)  # or an unknown one is a 500
    source = {"project_id": project} if task is None else {"task_id": task}
    return list_json(client.api_client.labels_api.list_endpoint, **source)


def labels_of(labels: Iterable[Mapping[str, Any]]) -> CvatLabels:
    """CVAT's labels (``name``, ``type``) as entries. Raises CvatError if the detector can answer none of them."""
    pairs = [(label["name"], label["type"]) for label in labels]
    answered = [(name, shape) for name, shape in pairs if shape in (ANY, *LabelType)]
    if all(_is_mark(*pair) for pair in answered):
        raise CvatError(f"no label to look for is of type {', '.join((ANY, *LabelType))}")
    return CvatLabels(
        entries=tuple(_entry(name, shape) for name, shape in answered),
        left_out=tuple(name for name, shape in pairs if (name, shape) not in answered),
    )


def read_labels(path: Path) -> Sequence[Mapping[str, Any]]:
    """The checked entries of a ``labels.yaml``, each a mapping. Raises CvatError."""
    try:
        return [own_keys(entry) for entry in json.loads(render(path))]
    except LabelError as error:
        raise CvatError(str(error)) from None


def own_keys(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of the rendered spec as people write it: without ids, and without confidence and review."""
    attributes = [one for one in entry.get("attributes", ()) if one["name"] not in (CONFIDENCE, REVIEW)]
    kept = {key: value for key, value in entry.items() if key not in ("id", "attributes")}
    return kept | ({"attributes": attributes} if attributes else {})


def _is_mark(name: str, shape: str) -> bool:
    return name in MARKS and shape in (ANY, LabelType.TAG)


def _entry(name: str, shape: str) -> str | Mapping[str, str]:
    if _is_mark(name, shape):
        return {"name": name, "type": str(LabelType.TAG), "marks": str(MARKS[name])}
    return name if shape == ANY else {"name": name, "type": shape}
