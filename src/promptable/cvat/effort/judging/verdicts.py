"""Verdicts: what became of an automatic label."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from promptable.config.labels import CONFIDENCE, REVIEW
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import FORMS, MASK, RECTANGLE, Position, position_of
from promptable.cvat.labels.task_label import TaskLabel

MINOR_IOU, EDITED_IOU = 0.9, 0.75
_DECIMALS = 2
_OURS = (CONFIDENCE, REVIEW)
"""Attributes with what the function thought: changing them is no correction of the label."""


class Verdict(StrEnum):
    """What people did with a label. One that was both moved and relabelled is ``RELABELLED``."""

    UNCHANGED = "unchanged"
    MINOR = "minor edit"
    EDITED = "edited"
    REWORKED = "reworked"
    RELABELLED = "relabelled"
    DELETED = "deleted"
    ADDED = "added by hand"


ACCEPTED = (Verdict.UNCHANGED, Verdict.MINOR)
CORRECTED = (Verdict.EDITED, Verdict.REWORKED, Verdict.RELABELLED, Verdict.DELETED)
"""The verdicts on labels that were wrong. ``ADDED`` is not one of them: there was no label."""


@dataclass(frozen=True)
class Judged:
    """The verdict on an automatic label, or on an object that people added.

    - ``kind`` is shape, tag or track; the ``frame`` of a track is the first one on which it was seen.
    - ``label`` is the run's, or, of what was added, people's; ``became`` is the new label of what was relabelled.
    - ``score`` is in [0, 1], None if it is unknown.
    - ``iou`` is that of the label before and after, None if there is only one of them.
    - ``before`` and ``after`` are the positions.
    """

    task: int
    job: int
    frame: int
    kind: str
    label: str
    verdict: Verdict
    score: float | None = None
    iou: float | None = None
    became: str | None = None
    before: Position | None = None
    after: Position | None = None

    @property
    def accepted(self) -> bool:
        return self.verdict in ACCEPTED


def verdict_of_iou(overlap: float) -> Verdict:
    """The verdict on a label that people have moved, from its IoU with the position before."""
    if overlap >= MINOR_IOU:
        return Verdict.MINOR
    return Verdict.EDITED if overlap >= EDITED_IOU else Verdict.REWORKED


def compared(before: Mapping[str, Any], now: Mapping[str, Any], label: TaskLabel) -> tuple[Verdict, float | None]:
    """The verdict on a shape or tag that is still there, and the IoU of a shape with what it was; None for a tag.

    ``before`` and ``now`` are as CVAT has them; ``label`` is the label before.
    """
    overlap = None if "points" not in before else _overlap(before, now)
    if now["label_id"] != before["label_id"]:
        return Verdict.RELABELLED, overlap
    if overlap is not None and not _stands_still(before, now):
        return verdict_of_iou(overlap), overlap
    same = same_values(before, now, label) and bool(before.get("occluded")) == bool(now.get("occluded"))
    return (Verdict.UNCHANGED if same else Verdict.MINOR), overlap


def same_values(before: Mapping[str, Any], now: Mapping[str, Any], label: TaskLabel) -> bool:
    """Whether the attributes are unchanged; confidence and review do not count."""
    return _values(before, label) == _values(now, label)


def place_of(shape: Mapping[str, Any]) -> Position | None:
    """The position of a shape; None for a tag, and for what is no valid rectangle, polygon or mask."""
    return position_of(shape) if _has_place(shape) else None


def has_places(track: Mapping[str, Any]) -> bool:
    """Whether all keyframes of a track have a position."""
    return all(map(_has_place, track["shapes"]))


def _has_place(shape: Mapping[str, Any]) -> bool:
    form = shape.get("type")
    return form in FORMS and _has_points(form, len(shape["points"]))


def _has_points(form: str, numbers: int) -> bool:
    if form == RECTANGLE:
        return numbers == 4
    return numbers >= 5 if form == MASK else numbers >= 6 and numbers % 2 == 0


def _overlap(before: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    if _stands_still(before, now):
        return 1.0
    one, other = place_of(before), place_of(now)
    return 0.0 if one is None or other is None else iou(one, other)


def _stands_still(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return _geometry(before) == _geometry(now)


def _geometry(shape: Mapping[str, Any]) -> tuple[Any, ...]:
    turned = round(float(shape.get("rotation") or 0), _DECIMALS)
    return shape["type"], turned, [round(float(number), _DECIMALS) for number in shape["points"]]


def _values(one: Mapping[str, Any], label: TaskLabel) -> dict[str, str]:
    """The values of a label's attributes by name, without confidence and review; missing ones have the default."""
    given = {value["spec_id"]: str(value["value"]) for value in one["attributes"]}
    specs = [spec for spec in label.attributes if spec["name"] not in _OURS]
    return {spec["name"]: given.get(spec["id"], str(spec["default_value"])) for spec in specs}
