"""Checks that a task's labels are for what a function answers."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptable.cvat.detection import MASK, POLYGON
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.errors import CvatError

_LISTED = 5
"""So many labels are named before the others are only counted."""


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


def check_names(labels: TaskLabels, names: Iterable[str], remedy: str = "add them with --create-labels") -> None:
    """Raise CvatError that names every label which the task lacks, with the closest ones."""
    lacking = labels.lacking(names)
    if lacking:
        raise CvatError(f"the task has no label {in_words(lacking)}: mend the names, or {remedy}")


def in_words(lacking: Mapping[str, Sequence[str]]) -> str:
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
    kinds: dict[tuple[str, str], list[str]] = {}
    for label, shape in wrong:
        kinds.setdefault((label.type, shape), []).append(label.name)
    named = "; ".join(
        f"{_quoted(names)} {'is' if len(names) == 1 else 'are'} of type {kept}, and a {shape} is answered"
        for (kept, shape), names in kinds.items()
    )
    raise CvatError(f"in the task {named}: {_REMEDIES.get(tuple(kinds), _REMEDY)}")


_REMEDY = "set type in labels.yaml, or the label's type in CVAT"
_REMEDIES: Mapping[tuple[tuple[str, str], ...], str] = {
    ((POLYGON, MASK),): "--polygons makes masks polygons",
    ((MASK, POLYGON),): "leave --polygons out, or set type in labels.yaml",
}
"""By what the labels are of and what is answered, where they are all alike."""


def shape_type(answered: str, polygons: bool) -> str:
    """What a shape that a function answers becomes."""
    return POLYGON if polygons and answered == MASK else answered


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
