"""The attributes of an answer's items: whole percent, and whether somebody should look."""

import numpy as np
import pytest

from promptable.config.labels import Label, LabelType
from promptable.models.detection.selection import Detections
from promptable.serving.detector.items import ItemRules


def _attributes(score: float, review: float) -> tuple[str, str]:
    one = Detections(np.array([[1, 1, 9, 9]], np.float32), np.zeros(1, np.int64), np.array([score], np.float32))
    (item,) = ItemRules([Label("thing", LabelType.RECTANGLE, ("thing",))], review).items(one, {})
    return item.attributes["confidence"], item.attributes["review"]


@pytest.mark.parametrize(
    ("score", "percent", "review"),
    [
        (0.44992, "44", "true"),
        (np.nextafter(np.float32(0.45), np.float32(0)), "44", "true"),
        (np.nextafter(np.float32(0.45), np.float32(1)), "45", "false"),
        (0.999, "99", "false"),
        (1.0, "100", "false"),
        (0.0, "0", "true"),
    ],
)
def test_what_is_to_be_reviewed_never_reads_as_the_threshold(score: float, percent: str, review: str) -> None:
    assert _attributes(score, 0.45) == (percent, review)


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_filter_for_the_threshold_is_the_tick(percent: int) -> None:
    """At any whole percent: ``confidence`` is below it exactly where ``review`` is ticked."""
    exact = np.float32(percent / 100)
    for score in (exact, np.nextafter(exact, np.float32(0)), np.nextafter(exact, np.float32(1))):
        if score <= 1:
            confidence, review = _attributes(float(score), percent / 100)
            assert (int(confidence) < percent) == (review == "true")
