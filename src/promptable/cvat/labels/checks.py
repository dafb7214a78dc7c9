"""Checking that a task has labels for what a function answers."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptable.cvat.detection import MASK, POLYGON
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.errors import CvatError

_LISTED = 5
"""How many labels an error names; the others are counted."""


def check_labels(
    labels: TaskLabels, entries: Sequence[Mapping[str, Any]], *, polygons: bool, all_of_them: bool
) -> None:
    """Raise CvatError if a task lacks labels for the detections of ``entries``, or has labels of other shape types.

    With ``all_of_them`` it must have every label, otherwise at least one. With ``polygons``, masks become polygons.
    """
    found = [entry for entry in entries if entry["name"] not in labels.marks]
    known = [entry for entry in found if entry["name"] in labels.by_name]
    if all_of_them or not known:
        check_names(labels, [entry["name"] for entry in found])
    check_types(labels, known, polygons)


def check_names(labels: TaskLabels, names: Iterable[str], remedy: str = "add them with --create-labels") -> None:
    """Raise CvatError if the task lacks labels. It names them, with the most similar ones that the task has."""
    lacking = labels.lacking(names)
    if lacking:
        raise CvatError(f"the task has no label {in_words(lacking)}: mend the names, or {remedy}")


def in_words(lacking: Mapping[str, Sequence[str]]) -> str:
    """The first few names that a task lacks, each with the similar ones that it has, and the number of the others."""
    shown = [
        f"{name!r}" + (f" (there is {_quoted(near)})" if near else "")
        for name, near in itertools.islice(lacking.items(), _LISTED)
    ]
    more = f" and {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""
    return "; ".join(shown) + more


def check_types(labels: TaskLabels, entries: Iterable[Mapping[str, Any]], polygons: bool) -> None:
    """Raise CvatError if labels of the task are of other shape types than the function answers; it names them."""
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
"""By the pairs of the label's type and the answered type, if all labels have the same pair."""


def shape_type(answered: str, polygons: bool) -> str:
    """The type as which a shape that a function answers is stored."""
    return POLYGON if polygons and answered == MASK else answered


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
