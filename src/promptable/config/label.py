"""A label of the detector, and what every detection of one carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import floor


class LabelError(ValueError):
    """The labels are wrong: the message names the label, the key, what was expected and what came."""


class LabelType(StrEnum):
    """What the detector answers for a label."""

    RECTANGLE = "rectangle"
    MASK = "mask"
    POLYGON = "polygon"
    TAG = "tag"


class Mark(StrEnum):
    """Why a frame gets a tag that the model is not asked for."""

    REVIEW = "review"
    FAILURE = "failure"


@dataclass(frozen=True)
class Label:
    """One label. ``prompts`` are the words the model looks for; ``threshold`` None means the function's default.

    A label that ``marks`` frames is a tag and has no prompts.
    """

    name: str
    type: LabelType
    prompts: tuple[str, ...]
    threshold: float | None = None
    marks: Mark | None = None


CONFIDENCE = "confidence"
REVIEW = "review"
ATTRIBUTES: tuple[Mapping[str, object], ...] = (
    {"name": CONFIDENCE, "input_type": "number", "values": ["0", "100", "1"]},
    {"name": REVIEW, "input_type": "checkbox", "values": ["false"]},
)
"""What every detection carries: its confidence in percent, and whether that is below the review threshold."""

_ROUNDING = 1e-9
"""100 * 0.29 is 28.999999999999996."""


def percent(score: float) -> int:
    """A score in [0, 1] in whole percent, rounded down: what is below a threshold never reads as the threshold."""
    return floor(100 * score + _ROUNDING)
