"""Scores of a label are comparable whatever else is asked for; measured at length by toy/evaluate_packing.py."""

import numpy as np
import pytest
from numpy.typing import NDArray

from promptable.models.grounding_dino.detector import GroundingDINO, load
from toy.evaluate_packing import FOLDER, SEED, long_list, own_scores
from toy.scenes import LABELS, scenes

DRAWN = list(scenes(SEED, 12))


@pytest.fixture(scope="module")
def detector() -> GroundingDINO:
    return load(str(FOLDER), FOLDER, "cpu")


@pytest.fixture(scope="module")
def alone(detector: GroundingDINO) -> NDArray[np.float64]:
    """Each object's own score with the 32 labels in one caption."""
    return own_scores(detector, DRAWN, [LABELS])


def test_the_order_of_the_labels_does_not_matter(detector: GroundingDINO, alone: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(own_scores(detector, DRAWN, [LABELS[::-1]]), alone, atol=1e-4)


@pytest.mark.parametrize("count", [20, 80, 365])
def test_a_score_hardly_moves_with_the_number_of_prompts(
    detector: GroundingDINO, alone: NDArray[np.float64], count: int
) -> None:
    moved = own_scores(detector, DRAWN, [long_list(count)]) - alone
    moved = moved[np.isfinite(moved) & (alone > 0)]
    assert len(moved) > 15
    assert abs(moved.mean()) < 0.04
    assert np.quantile(np.abs(moved), 0.95) < 0.12


def test_a_short_caption_beside_a_long_one_would_favour_its_labels(
    detector: GroundingDINO, alone: NDArray[np.float64]
) -> None:
    """Why captions are filled evenly."""
    uneven = own_scores(detector, DRAWN, [LABELS[:28], LABELS[28:]]) - alone
    even = own_scores(detector, DRAWN, [LABELS[:16], LABELS[16:]]) - alone
    mine = np.array([LABELS.index(thing.label) for one in DRAWN for thing in one.objects])
    assert gap(uneven, mine >= 28) > 2 * abs(gap(even, mine >= 16))


def gap(moved: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    """How much more the labels of the second caption gained than those of the first."""
    return float(moved[second].mean() - moved[~second].mean())
