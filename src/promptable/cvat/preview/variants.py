"""What is compared: label lists, thresholds and models, each asked about the same pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptable.config.labels import CONFIDENCE
from promptable.cvat.detection import MASK, TAG
from promptable.cvat.functions import Function, Picture
from promptable.cvat.server.errors import CvatError

_FLOOR = 0.1
"""Sliders begin here, or at the lowest threshold of a label that is lower: what is weaker is rarely an object."""


@dataclass(frozen=True)
class VariantSpec:
    """``NAME=labels.yaml[@WHERE]``: a name, a label list, and what is asked, where that differs."""

    name: str
    labels: Path | None = None
    where: str | None = None

    @classmethod
    def parse(cls, text: str) -> "VariantSpec":
        """Raises ValueError for what does not begin with ``NAME=``."""
        name, equals, rest = text.partition("=")
        if not (name and equals and rest):
            raise ValueError(f"expected NAME=labels.yaml, or NAME=labels.yaml@URL, got {text!r}")
        file, _, where = rest.partition("@")
        return cls(name, Path(file) if file else None, where or None)


@dataclass(frozen=True)
class Variant:
    """A label list asked of a function: entries as in ``labels.yaml``; None for those it is deployed with."""

    name: str
    function: Function
    labels: Sequence[Mapping[str, Any]] | None
    threshold: float | None
    task_labels: Sequence[Mapping[str, Any]] = ()
    """CVAT's own list of the task's labels, where CVAT is asked: its answers name them by number."""

    def ask(self, picture: Picture) -> Mapping[str, Any]:
        """The function's candidates; through CVAT, its items at one threshold. Raises CvatError."""
        if not self.function.takes_labels:
            asked = {} if self.threshold is None else {"threshold": self.threshold}
            return {"items": _read_items(self.function, self.function.call(picture, asked), self.task_labels)}
        fields: dict[str, object] = {"floor": self._floor()}
        if self.labels is not None:
            fields["labels"] = self.labels
        if self.threshold is not None:
            fields["threshold"] = self.threshold
        answer: Mapping[str, Any] = self.function.call(picture, fields)
        if not isinstance(answer, dict):
            raise CvatError(f"{self.function} knows no 'floor': deploy a function of this version, or use --via-cvat")
        return answer

    def _floor(self) -> float:
        given: list[float] = [entry["threshold"] for entry in self.labels or () if entry.get("threshold") is not None]
        return min([_FLOOR, *given, *([] if self.threshold is None else [self.threshold])])


def _read_items(function: Function, answer: Any, task_labels: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As ``_items_of_cvat``. Raises CvatError for an answer of another form."""
    try:
        return _items_of_cvat(answer, task_labels)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CvatError(f"{function}: the answer cannot be read: {error!r}") from None


def _items_of_cvat(answer: Any, task_labels: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """CVAT's answer to a call of a detector, as the page draws it.

    CVAT keeps no score of it, only the attribute ``confidence``, where the task's label has one: else it is None.
    """
    names = {label["id"]: str(label["name"]) for label in task_labels}
    specs = {spec["id"] for label in task_labels for spec in label["attributes"] if spec["name"] == CONFIDENCE}

    def item(shape: Mapping[str, Any]) -> Mapping[str, Any]:
        values = [one["value"] for one in shape["attributes"] if one["spec_id"] in specs]
        percent = [int(value) for value in values if value.isdecimal()]  # another function may write what it likes
        common = {"label": names[shape["label_id"]], "score": percent[0] / 100 if percent else None}
        return {**common, **_geometry(shape)}

    return [item(shape) for shape in (*answer["shapes"], *({**tag, "type": TAG} for tag in answer["tags"]))]


def _geometry(shape: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = shape["type"]
    if kind == TAG:
        return {"type": kind}
    points = shape["points"]
    if kind == MASK:
        left, top, right, bottom = points[-4:]
        return {"type": kind, "box": [left, top, right + 1, bottom + 1], "mask": {"rle": points}}
    xs, ys = points[0::2], points[1::2]
    return {"type": kind, "box": [min(xs), min(ys), max(xs), max(ys)], "points": points}
