"""The memory rules on trained weights: a clip in which they part, and a tracker that stands still."""

import pytest

from promptable.models.load import load_video_tracker
from promptable.models.sam2.memory_rules import RULES
from promptable.models.sam2.track_memory import TrackMemory
from promptable.models.sam2.video_tracker import VideoTracker
from tests.models.sam2.test_video_tracker_toy import TOY
from toy.evaluate_track_memory import FROZEN, Figures, evaluate
from toy.memory_clips import FIRST_SEED, memory_clip

KIND, SEED = "occlusion", FIRST_SEED + 6
"""Of the table in docs/tracker.md the clip in which the rules differ most."""


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, float]]:
    trackers: dict[str, VideoTracker] = {
        name: load_video_tracker(str(TOY), TOY, "cpu", "fp32", name) for name in (TrackMemory.ALL, TrackMemory.VISIBLE)
    }
    found: dict[tuple[str, str], Figures] = evaluate(trackers, [memory_clip(KIND, SEED)])
    return {rule: each.summary() for (rule, _), each in found.items()}


def test_what_was_hidden_for_long_is_found_again_by_what_was_seen(figures: dict[str, dict[str, float]]) -> None:
    """Measured: J .91 against .35, which stays lost for good."""
    assert set(RULES) > set(figures) - {FROZEN}
    everything, visible = figures[TrackMemory.ALL], figures[TrackMemory.VISIBLE]
    assert (everything["found again"], visible["found again"]) == (0, 1)
    assert visible["J"] > 0.8 > 0.5 > everything["J"]
    assert everything["lost rightly"] == visible["lost rightly"] == 1


def test_a_tracker_that_stands_still_finds_nothing(figures: dict[str, dict[str, float]]) -> None:
    frozen = figures[FROZEN]
    assert (frozen["found again"], frozen["lost rightly"]) == (0, 0)
    assert frozen["J"] < 0.2
