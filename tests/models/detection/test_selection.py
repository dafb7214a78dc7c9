import tracemalloc
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchvision.ops import batched_nms

from promptable.models.detection import selection
from promptable.models.detection.detector import PromptScores
from promptable.models.detection.proposals import best_prompts, synonym_scores
from promptable.models.detection.selection import Detections, LabelRule, Suppression, possible_boxes, select

HW = (40, 60)
DEFAULT = Suppression()
LEFT, MIDDLE, RIGHT = [0, 0, 10, 10], [20, 10, 30, 20], [45, 0, 60, 40]


def choose(
    boxes: Sequence[Sequence[float]],
    scores: Sequence[Sequence[float]],
    label_of_prompt: tuple[int, ...] = (0, 1),
    thresholds: tuple[float, ...] = (0.35, 0.35),
    captions: tuple[int, ...] = (),
    max_area: float = 1.0,
    suppression: Suppression = DEFAULT,
) -> Detections:
    found_by = np.array(captions or [0] * len(boxes))
    proposed = PromptScores(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), found_by)
    rules = [LabelRule(threshold, max_area) for threshold in thresholds]
    return select(best_prompts(proposed), label_of_prompt, rules, HW, suppression)


def test_the_best_prompt_gives_label_and_score_and_the_best_box_is_first() -> None:
    found = choose([LEFT, MIDDLE, RIGHT], [[0.5, 0.4], [0.2, 0.9], [0.34, 0.1]])
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_allclose(found.scores, [0.9, 0.5])
    np.testing.assert_array_equal(found.boxes_xyxy, [MIDDLE, LEFT])
    assert (found.boxes_xyxy.dtype, found.labels.dtype, found.scores.dtype) == (np.float32, np.int64, np.float32)


def test_synonyms_fall_together() -> None:
    found = choose([LEFT, [1, 0, 10, 10]], [[0.1, 0.2, 0.7], [0.1, 0.6, 0.3]], label_of_prompt=(0, 1, 1))
    assert found.labels.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.7])


def test_each_label_has_its_threshold_and_reaching_it_is_enough() -> None:
    found = choose([LEFT, MIDDLE, RIGHT], [[0.5, 0], [0, 0.5], [0, 0.75]], thresholds=(0.5, 0.75))
    np.testing.assert_array_equal(found.boxes_xyxy, [RIGHT, LEFT])


def test_a_label_below_its_threshold_is_not_replaced_by_the_second_best() -> None:
    assert choose([LEFT], [[0.6, 0.5]], thresholds=(0.7, 0.1)).labels.tolist() == []


def test_overlapping_boxes_are_suppressed_within_a_label_only() -> None:
    near = [0, 0, 10, 9]
    assert choose([LEFT, near], [[0.8, 0], [0.9, 0]]).boxes_xyxy.tolist() == [near]
    assert len(choose([LEFT, near], [[0.8, 0], [0, 0.9]]).labels) == 2
    assert len(choose([LEFT, near], [[0.8, 0], [0.9, 0]], suppression=Suppression(nms_iou=0.95)).labels) == 2


def test_overlapping_boxes_are_suppressed_across_labels_where_that_is_asked_for() -> None:
    near = [0, 0, 10, 7]
    for iou, labels in ((0.6, [1]), (0.8, [1, 0]), (1.0, [1, 0])):
        found = choose([LEFT, near], [[0.8, 0], [0, 0.9]], suppression=Suppression(cross_label_iou=iou))
        assert found.labels.tolist() == labels
    same = choose([LEFT, LEFT], [[0.8, 0], [0, 0.9]])
    assert len(same.labels) == 2, "by default an object may have several labels"


def test_prompts_of_different_captions_compete_for_an_object_too() -> None:
    boxes, scores = [LEFT, [0, 0, 10, 9], RIGHT], [[0.8, 0], [0, 0.9], [0.5, 0]]
    assert choose(boxes, scores, captions=(0, 0, 0)).labels.tolist() == [1, 0, 0]
    assert choose(boxes, scores, captions=(0, 1, 0)).labels.tolist() == [1, 0]
    apart = [[0, 0, 10, 7], [0, 0, 10, 10]]
    assert len(choose(apart, scores[:2], captions=(0, 1)).labels) == 2, "only boxes that are nearly the same"


@pytest.mark.parametrize("iou", [0.3, 0.6])
def test_within_a_label_suppression_is_torchvisions(iou: float) -> None:
    random = np.random.default_rng(5)
    corners = random.uniform(0, 25, (300, 2))
    boxes = np.hstack([corners, corners + random.uniform(2, 15, (300, 2))]).astype(np.float32)
    scores = random.permutation(np.linspace(0.1, 0.9, 600, dtype=np.float32)).reshape(300, 2)
    found = choose(boxes.tolist(), scores.tolist(), thresholds=(0.0, 0.0), suppression=Suppression(iou))
    best, labels = torch.from_numpy(scores).max(1)
    kept = batched_nms(torch.from_numpy(boxes), best, labels, iou)
    assert 100 < len(kept) < 280
    np.testing.assert_array_equal(found.boxes_xyxy, boxes[kept])
    np.testing.assert_array_equal(found.labels, labels[kept])


def test_boxes_about_as_large_as_the_picture_can_be_dropped() -> None:
    boxes, scores = [[-1, 0, 60, 40], [0, 0, 60, 37], LEFT], [[0.9, 0], [0.8, 0], [0.7, 0]]
    assert choose(boxes, scores, max_area=0.95).boxes_xyxy.tolist() == [[0, 0, 60, 37], LEFT]
    assert len(choose(boxes, scores, suppression=Suppression(nms_iou=1.0)).labels) == 3


def test_boxes_are_clipped_to_the_picture() -> None:
    found = choose([[-5, -5, 70, 50]], [[0.9, 0]])
    assert found.boxes_xyxy.tolist() == [[0, 0, 60, 40]]


def test_what_is_no_box_is_dropped() -> None:
    bad = [[5, 5, 5, 9], [9, 5, 5, 9], [61, 0, 70, 9]]
    assert len(choose(bad, [[0.9, 0]] * len(bad)).labels) == 0


def test_the_limit_keeps_the_best() -> None:
    found = choose([LEFT, MIDDLE, RIGHT], [[0.5, 0], [0.7, 0], [0.6, 0]], suppression=Suppression(limit=2))
    np.testing.assert_allclose(found.scores, [0.7, 0.6])


@pytest.mark.parametrize("captions", [(0, 0, 0), (0, 1, 2)], ids=["one caption", "several"])
@pytest.mark.parametrize("cross_label_iou", [0.8, 1.0])
@pytest.mark.parametrize("scores", [(0.9, 0.8, 0.7), (0.7, 0.8, 0.9)])
def test_tags_are_no_rivals_of_other_labels(
    scores: tuple[float, ...], cross_label_iou: float, captions: tuple[int, ...]
) -> None:
    """As "night" and "street" are said of a picture that a person fills."""
    boxes = np.array([[0, 0, 60, 40], [0, 0, 60, 38], [0, 1, 60, 40]], np.float32)
    proposed = PromptScores(boxes, np.diag(scores).astype(np.float32), np.array(captions))
    rules = [LabelRule(0.35, shape=False), LabelRule(0.35), LabelRule(0.35, shape=False)]
    found = select(best_prompts(proposed), (0, 1, 2), rules, HW, Suppression(cross_label_iou=cross_label_iou))
    assert sorted(found.labels.tolist()) == [0, 1, 2]


def test_the_limit_is_for_shapes() -> None:
    proposed = PromptScores(
        np.array([LEFT, MIDDLE, RIGHT], np.float32), np.eye(3, dtype=np.float32), np.zeros(3, np.int64)
    )
    rules = [LabelRule(0.35), LabelRule(0.35), LabelRule(0.35, shape=False)]
    found = select(best_prompts(proposed), (0, 1, 2), rules, HW, Suppression(limit=1))
    assert found.labels.tolist() == [0, 2]


def test_of_very_many_boxes_the_strongest_are_considered() -> None:
    count = 50_000
    corners = np.random.default_rng(3).uniform(0, 30, (count, 2)).astype(np.float32)
    scores = np.linspace(0.9, 0.1, count, dtype=np.float32)[:, None]
    proposed = PromptScores(np.hstack([corners, corners + 1]), scores, np.arange(count) % 7)
    found = select(best_prompts(proposed), [0], [LabelRule(0.0)], HW, Suppression(limit=50))
    assert len(found.scores) == 50
    assert found.scores[0] == np.float32(0.9)


def test_thresholds_that_only_add_weaker_boxes_are_looked_at_together() -> None:
    """Two pieces become one box once the weaker one is there: what remains can change there only."""
    count = 20
    corners = np.stack([np.arange(count) * 2.0, np.zeros(count)], 1)
    boxes = np.concatenate([np.hstack([corners, corners + 1]), [[0, 20, 30, 30], [28, 20, 60, 30]]])
    scores = np.append(np.linspace(0.9, 0.1, count), [0.7, 0.5])[:, None]
    proposed = best_prompts(
        PromptScores(boxes.astype(np.float32), scores.astype(np.float32), np.zeros(count + 2, np.int64))
    )
    proposed.cut[-2:, [2, 0]] = np.eye(2, dtype=bool)
    with patch.object(selection, "_may_remain", wraps=selection._may_remain) as looked:
        found = possible_boxes(proposed, [0], [LabelRule(0.0)], HW, 0.6)
    assert looked.call_count == 2
    assert found.tolist() == sorted([*boxes[:count].tolist(), [0, 20, 60, 30]])


@given(
    hnp.arrays(np.float32, (7, 4), elements=st.floats(-20, 80, width=32)),
    hnp.arrays(np.float32, (7, 3), elements=st.floats(0, 1, width=32)),
    st.integers(0, 8),
)
def test_what_is_kept_is_always_clean(boxes: np.ndarray, scores: np.ndarray, limit: int) -> None:
    proposed = PromptScores(boxes, scores, np.array([0, 0, 0, 0, 1, 1, 1]))
    rules = [LabelRule(0.2), LabelRule(0.6, 0.5)]
    found = select(best_prompts(proposed), (0, 1, 0), rules, HW, Suppression(0.6, 0.8, limit))
    x1, y1, x2, y2 = found.boxes_xyxy.T
    assert ((x1 >= 0) & (y1 >= 0) & (x2 <= 60) & (y2 <= 40) & (x1 < x2) & (y1 < y2)).all()
    assert (found.scores >= np.array([0.2, 0.6], np.float32)[found.labels]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert len(found.labels) == len(found.scores) == len(found.boxes_xyxy) <= limit


def test_the_next_best_prompts_of_a_box_and_its_synonyms() -> None:
    scores = np.array([[0.1, 0.9, 0.3, 0.5, 0.2], [0.6, 0.1, 0.2, 0.3, 0.4]], np.float32)
    proposed = best_prompts(PromptScores(np.zeros((2, 4), np.float32), scores, np.zeros(2, np.int64)))
    assert proposed.prompt_indices.tolist() == [1, 0]
    assert proposed.other_prompts.tolist() == [[3, 2, 4], [4, 3, 2]]
    assert proposed.other_scores == pytest.approx(np.array([[0.5, 0.3, 0.2], [0.4, 0.3, 0.2]]))
    assert synonym_scores(proposed, [0, 1, 1, 2, 0]).tolist() == pytest.approx([0.3, 0.4])
    assert synonym_scores(proposed, [0, 1, 2, 3, 4]).tolist() == [0, 0], "no label has another prompt"
    alone = best_prompts(PromptScores(np.zeros((2, 4), np.float32), scores[:, :1], np.zeros(2, np.int64)))
    assert synonym_scores(alone, [0]).tolist() == [0, 0]


def test_thousands_of_pieces_take_little_memory() -> None:
    """As of a threshold near 0 with tiles; all pairs at once would take 700 MB."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, 30, (4000, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 20, (4000, 2))], 1).astype(np.float32)
    proposed = best_prompts(PromptScores(boxes, random.random((4000, 1), np.float32), np.zeros(4000, np.int64)))
    proposed.cut[:] = np.eye(4, dtype=bool)[random.integers(4, size=4000)]
    tracemalloc.start()
    try:
        select(proposed, (0,), [LabelRule(0.0)], HW, DEFAULT)
        assert tracemalloc.get_traced_memory()[1] < 250e6
    finally:
        tracemalloc.stop()
