"""A label of a task, and the shapes and tags that it makes of detections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.config.labels import CONFIDENCE, REVIEW, percent
from promptable.cvat.detection import TAG, Detection
from promptable.cvat.labels.entries import ANY


@dataclass(frozen=True)
class TaskLabel:
    """A label as CVAT has it; ``attributes`` are CVAT's specs: ``id``, ``name``, ``values``, ``default_value`` ..."""

    id: int
    name: str
    type: str
    attributes: Sequence[Mapping[str, Any]]

    def takes(self, shape: str) -> bool:
        """Whether the label is for shapes of this type; CVAT itself does not check."""
        return self.type in (ANY, shape)

    def attribute_values(self, detection: Detection, doubtful: bool) -> list[dict[str, Any]]:
        """A value for every attribute: confidence, review, what the function answered, or else CVAT's default."""
        given = {**detection.attributes, REVIEW: "true" if doubtful else "false"}
        if detection.score is not None:
            given[CONFIDENCE] = str(percent(detection.score))
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
        """A detection as a shape or tag that CVAT takes; below ``review_below`` it is marked for review."""
        doubtful = detection.is_doubtful(review_below)
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


def _fits(value: str | None, spec: Mapping[str, Any]) -> bool:
    """Whether an attribute may have this value in CVAT's editor; CVAT's server does not check it."""
    if value is None:
        return False
    match spec["input_type"]:
        case "number":
            return _is_step(value, spec["values"])
        case "checkbox":
            return value in ("true", "false")
        case "text":
            return True
    return value in spec["values"]


def _is_step(value: str, bounds: Sequence[str]) -> bool:
    """Whether it is a whole number within ``bounds``: the lowest, the highest and the step."""
    try:
        low, high, step = (int(float(number)) for number in bounds)
        number = int(value)
    except ValueError:  # CVAT checks neither bounds nor values
        return False
    return low <= number <= high and (number - low) % (step or 1) == 0
