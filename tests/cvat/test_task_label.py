"""A detection as the shape that CVAT stores, with the attributes of the task's label."""

from collections.abc import Sequence
from typing import Any

import pytest

from promptable.config.labels import ATTRIBUTES
from promptable.cvat.detection import Detection
from promptable.cvat.labels.task_label import TaskLabel

OURS = [{"id": number, "default_value": "", **spec} for number, spec in enumerate(ATTRIBUTES)]


def _values(specs: Sequence[dict[str, Any]], detection: Detection, review_below: float = 0.45) -> list[str]:
    payload = TaskLabel(1, "rust", "any", specs).payload(detection, 0, review_below)
    return [one["value"] for one in payload["attributes"]]


@pytest.mark.parametrize("threshold", [0.29, 0.45, 0.57, 0.58])
def test_a_filter_for_the_threshold_is_the_tick(threshold: float) -> None:
    """100 * 0.29 is a little less than 29."""
    for score in (threshold, threshold - 1e-4, threshold - 5e-3, threshold + 1e-4):
        confidence, review = _values(OURS, Detection("rust", "rectangle", round(score, 4)), threshold)
        assert (int(confidence) < 100 * threshold) == (review == "true"), score


@pytest.mark.parametrize(
    ("value", "bounds", "is_taken"),
    [
        ("3", ["0", "9", "1"], True),
        ("3", ["0", "9", "2"], False),
        ("12", ["0", "9", "1"], False),
        ("-3", ["-9", "9", "0"], True),
        ("--3", ["-9", "9", "1"], False),
        ("3.5", ["0", "9", "1"], False),
        ("3", ["0", "9"], False),
        ("3", [""], False),
    ],
)
def test_a_number_that_does_not_fit_is_the_default(value: str, bounds: list[str], is_taken: bool) -> None:
    """CVAT's server checks neither the bounds nor the values."""
    spec = {"id": 1, "name": "depth", "input_type": "number", "values": bounds, "default_value": "default"}
    found = Detection("rust", "rectangle", 0.5, attributes={"depth": value})
    assert _values([spec], found) == [value if is_taken else "default"]
