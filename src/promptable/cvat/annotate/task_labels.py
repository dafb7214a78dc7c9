"""The labels of a task, by which detections become the shapes and tags that CVAT stores."""

import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cvat_sdk.core.helpers import get_paginated_collection, make_request_headers

from promptable.config.labels import ATTRIBUTES, CONFIDENCE, REVIEW, Mark
from promptable.cvat.detection import MASK, POLYGON, TAG, Detection
from promptable.cvat.labels import MARKS
from promptable.cvat.server.errors import CvatError

_ANY = "any"
_LISTED = 5
"""So many labels are named before the others are only counted."""


@dataclass(frozen=True)
class TaskLabel:
    """A label as CVAT has it; ``attributes`` are its specs: ``id``, ``name``, ``values``, ``default_value`` ..."""

    id: int
    name: str
    type: str
    attributes: Sequence[Mapping[str, Any]]

    def takes(self, shape: str) -> bool:
        """Whether the label is for shapes of this type; CVAT itself does not check."""
        return self.type in (_ANY, shape)

    def attribute_values(self, detection: Detection, doubtful: bool) -> list[dict[str, Any]]:
        """A value for every attribute: confidence and review, the function's own, else CVAT's default."""
        given = {**detection.attributes, REVIEW: "true" if doubtful else "false"}
        if detection.score is not None:
            given[CONFIDENCE] = str(round(100 * detection.score))
        return self._values(given)

    def _values(self, given: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "spec_id": spec["id"],
                "value": given[spec["name"]] if _fits(given.get(spec["name"]), spec) else str(spec["default_value"]),
            }
            for spec in self.attributes
        ]

    def payload(self, detection: Detection, frame: int, review_below: float) -> dict[str, Any]:
        """The shape or tag as CVAT takes it."""
        doubtful = detection.is_below(review_below) or detection.attributes.get(REVIEW) == "true"
        common = {
            "frame": frame,
            "label_id": self.id,
            "group": 0,
            "source": "auto",
            "attributes": self.attribute_values(detection, doubtful),
        }
        if detection.type == TAG:
            return common
        return common | {
            "type": detection.type,
            "points": list(detection.points),
            "score": detection.stored_score,
            "occluded": False,
            "outside": False,
            "z_order": 0,
            "rotation": 0.0,
        }

    def mark(self, frame: int) -> dict[str, Any]:
        """A tag of this label, with CVAT's defaults."""
        return {"frame": frame, "label_id": self.id, "group": 0, "source": "auto", "attributes": self._values({})}


@dataclass(frozen=True)
class TaskLabels:
    """The labels of a task by name, and the names of those that mark frames, which the task may lack."""

    by_name: Mapping[str, TaskLabel]
    marks: Mapping[str, Mark] = field(default_factory=lambda: MARKS)

    def get(self, name: str) -> TaskLabel | None:
        return self.by_name.get(name)

    def marking(self, mark: Mark) -> TaskLabel | None:
        """The label whose tags mark frames so, where the task has it."""
        labels = (self.get(name) for name, meant in self.marks.items() if meant is mark)
        return next((label for label in labels if label is not None and label.takes(TAG)), None)

    def unknown(self, entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Of ``entries`` (``name``, ``type``) those that the task lacks, marks of frames too."""
        return [entry for entry in entries if entry["name"] not in self.by_name]

    def imagined(self, entries: Iterable[Mapping[str, Any]]) -> "TaskLabels":
        """As they would be with ``entries`` added: nothing can be stored by these."""
        added = {entry["name"]: TaskLabel(-1, entry["name"], entry["type"], ()) for entry in entries}
        return TaskLabels({**self.by_name, **added}, self.marks)

    def lacking(self, names: Iterable[str]) -> dict[str, list[str]]:
        """The names that the task lacks, each with those of its labels that are nearest."""
        plain = {name.lower(): name for name in self.by_name}
        return {
            name: [plain[near] for near in difflib.get_close_matches(name.lower(), plain, n=3, cutoff=0.5)]
            for name in names
            if name not in self.by_name
        }


def task_labels(client: Any, task: int, looked_for: Iterable[Mapping[str, Any]] = ()) -> TaskLabels:
    """The labels of a task that exists; ``client`` is cvat-sdk's. Raises CvatError.

    Entries of ``looked_for`` with ``marks`` mark frames, beside ``needs-review`` and ``failed``.
    """
    entries = get_paginated_collection(
        client.api_client.labels_api.list_endpoint, return_json=True, _parse_response=False, task_id=task
    )
    labels = [TaskLabel(one["id"], one["name"], one["type"], one["attributes"]) for one in entries]
    own = {str(entry["name"]): Mark(entry["marks"]) for entry in looked_for if entry.get("marks")}
    return TaskLabels({label.name: label for label in labels}, own | MARKS)


def check_labels(
    labels: TaskLabels, entries: Sequence[Mapping[str, Any]], *, polygons: bool, all_of_them: bool
) -> None:
    """Raise CvatError where a task's labels are not for detections of ``entries``; ``polygons`` is what masks become.

    With ``all_of_them`` it must have every one, else one of them.
    """
    found = [entry for entry in entries if entry["name"] not in labels.marks]
    known = [entry for entry in found if entry["name"] in labels.by_name]
    if all_of_them or not known:
        check_names(labels, [entry["name"] for entry in found])
    check_types(labels, known, polygons)


def create_labels(client: Any, task: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add labels (``name``, ``type``, ``attributes`` as in ``labels.yaml``) to a task, or to its project, whose labels
    are the task's. Raises CvatError."""
    wanted = [{"name": entry["name"], "type": entry["type"], "attributes": _new_attributes(entry)} for entry in entries]
    where = f"/api/projects/{task.project_id}" if task.project_id else f"/api/tasks/{task.id}"
    api = client.api_client
    api.rest_client.PATCH(
        client.api_map.make_endpoint_url(where),
        headers=make_request_headers(api) | {"Content-Type": "application/json"},
        body={"labels": wanted},
    )


def _new_attributes(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A label's own attributes, and ours where it is for detections, as CVAT takes them."""
    ours = () if entry.get("marks") else ATTRIBUTES
    by_name = {spec["name"]: spec for spec in (*entry.get("attributes", ()), *ours)}
    return [{"mutable": False, "default_value": _default(spec), **spec} for spec in by_name.values()]


def _default(spec: Mapping[str, Any]) -> str:
    """The first of its values, of a number the lowest, as CVAT's editor begins."""
    return next(iter(spec["values"]), "false" if spec["input_type"] == "checkbox" else "")


def check_names(labels: TaskLabels, names: Iterable[str], remedy: str = "add them with --create-labels") -> None:
    """Raise CvatError that names every label which the task lacks, with the closest ones."""
    lacking = labels.lacking(names)
    if lacking:
        raise CvatError(f"the task has no label {listed(lacking)}: mend the names, or {remedy}")


def listed(lacking: Mapping[str, Sequence[str]]) -> str:
    """The first few labels that a task lacks, each with those of the task that are nearest."""
    shown = [
        f"{name!r}" + (f" (there is {_quoted(near)})" if near else "")
        for name, near in itertools.islice(lacking.items(), _LISTED)
    ]
    more = f" and {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""
    return "; ".join(shown) + more


def check_types(labels: TaskLabels, entries: Iterable[Mapping[str, Any]], polygons: bool) -> None:
    """Raise CvatError that names every label which the task keeps for other shapes than the function answers."""
    answered = [(labels.get(entry["name"]), shape_type(entry["type"], polygons)) for entry in entries]
    wrong = [(label, shape) for label, shape in answered if label is not None and not label.takes(shape)]
    if not wrong:
        return
    named = "; ".join(f"{label.name!r} is of type {label.type}, and a {shape} is answered" for label, shape in wrong)
    outlines = all((label.type, shape) == (POLYGON, MASK) for label, shape in wrong)
    remedy = "--polygons makes masks polygons" if outlines else "set type in labels.yaml, or the label's type in CVAT"
    raise CvatError(f"in the task {named}: {remedy}")


def shape_type(answered: str, polygons: bool) -> str:
    """What a shape that a function answers becomes."""
    return POLYGON if polygons and answered == MASK else answered


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _fits(value: str | None, spec: Mapping[str, Any]) -> bool:
    """Whether CVAT's editor could have given the attribute this value, which CVAT's server does not check."""
    if value is None:
        return False
    match spec["input_type"]:
        case "number":
            low, high, step = (int(float(number)) for number in spec["values"])
            return value.lstrip("-").isdecimal() and low <= int(value) <= high and (int(value) - low) % (step or 1) == 0
        case "checkbox":
            return value in ("true", "false")
        case "text":
            return True
    return value in spec["values"]
