"""What a run chooses from a function's proposals is what the function answers at the same thresholds."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptable.cvat.annotate.candidates import read_candidates
from promptable.cvat.geometry import run_lengths
from promptable.cvat.server.errors import CvatError
from promptable.models.detection.proposals import Proposals, synonym_scores
from promptable.models.detection.selection import COMPARISONS, LabelRule, Suppression, possible_boxes, select
from promptable.wire.candidates import CandidateLabel, CandidateMask, Candidates, encode
from promptable.wire.masks import MaskCrop

HW = (40, 60)
FLOOR = 0.1
TYPES = {"rust": "rectangle", "crack": "mask", "dent": "polygon", "outdoor": "tag"}
NAMES = list(TYPES)


def _proposals(seed: int, count: int) -> Proposals:
    """Boxes that overlap, some of them pieces from tiles, some larger than what tiles overlap by."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-5, 60, (count, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    boxes[count // 2 :] = boxes[: count - count // 2] + rng.normal(0, 1, (count - count // 2, 4)).astype(np.float32)
    return Proposals(
        boxes,
        rng.integers(0, len(NAMES), count),
        rng.uniform(FLOOR, 1, count).astype(np.float32),
        rng.integers(0, 2, count),
        rng.random((count, 4)) < 0.1,
        rng.random(count) < 0.1,
        rng.integers(0, 2, (count, 2)).astype(np.int16),
        rng.uniform(0, 1, (count, 2)).astype(np.float32),
    )


def _answer(proposals: Proposals, suppression: Suppression) -> dict[str, Any]:
    """As the detector writes it."""
    labels = [CandidateLabel(name, kind, 0.35, 0.9) for name, kind in TYPES.items()]
    rules = [LabelRule(FLOOR, 0.9, shape=kind in ("mask", "polygon")) for kind in TYPES.values()]
    boxes = possible_boxes(proposals, range(len(NAMES)), rules, HW, suppression.nms_iou)
    masks = [CandidateMask(box, MaskCrop(np.ones((2, 3), bool), 1, 1), [1, 1, 4, 1, 4, 3], 0.8, False) for box in boxes]
    names = ("boxes_xyxy", "prompt_indices", "scores", "captions", "cut")
    boxes_xyxy, indices, scores, captions, cut = (getattr(proposals, name) for name in names)
    synonyms = synonym_scores(proposals, range(len(NAMES)))
    rest = vars(suppression) | COMPARISONS | {"review_threshold": 0.45}
    candidates = Candidates(
        "toy",
        HW,
        FLOOR,
        labels,
        rest,
        boxes_xyxy,
        indices,
        scores,
        captions,
        cut,
        proposals.beyond_overlap,
        synonyms,
        masks,
    )
    answer: dict[str, Any] = json.loads(encode(candidates))
    return answer


@example(2260, 4, (0.5, 1.0, 1.0, 1.0), Suppression())
@given(
    st.integers(0, 10_000),
    st.integers(0, 40),
    st.tuples(*[st.floats(FLOOR, 1)] * len(NAMES)),
    st.sampled_from([Suppression(), Suppression(0.5, 0.7, 5)]),
)
def test_the_choice_equals_the_functions(
    seed: int, count: int, thresholds: tuple[float, ...], suppression: Suppression
) -> None:
    proposals = _proposals(seed, count)
    rules = [LabelRule(t, 0.9, shape=kind != "tag") for t, kind in zip(thresholds, TYPES.values(), strict=True)]
    expected = select(proposals, range(len(NAMES)), rules, HW, suppression)
    answer = _answer(proposals, suppression)
    found = read_candidates(answer, dict(zip(NAMES, thresholds, strict=True)), HW, polygons=False)
    chosen = [one for one in found if one.chosen]
    labels = [NAMES[number] for number in expected.labels]
    sides = np.round(expected.boxes_xyxy[:, 2:], 2) - np.round(expected.boxes_xyxy[:, :2], 2)
    shapes = [
        (label, round(float(score), 4))
        for label, score, own in zip(labels, expected.scores, sides, strict=True)
        if label != "rust" or (own > 0).all()  # a rectangle that vanishes in hundredths of a pixel is none in CVAT
    ]
    assert [(one.label, one.score) for one in chosen if one.type != "tag"] == [
        one for one in shapes if one[0] != "outdoor"
    ]
    assert {one.label for one in chosen if one.type == "tag"} == {label for label in labels if label == "outdoor"}
    assert all(one.type == TYPES[one.label] for one in chosen), "each has its mask or outline"
    assert all(one.points == run_lengths.encode(np.ones((2, 3), bool), 1, 1) for one in chosen if one.type == "mask")
    assert not any(one.is_below(FLOOR) for one in found)
    assert all(one.attributes["mask_score"] == "0.8" for one in found if one.type in ("mask", "polygon"))


def test_how_well_another_prompt_fits_comes_with_a_box_clipped_or_not() -> None:
    boxes = np.array([[5, 5, 20, 20], [40, 20, 90, 90], [25, 5, 35, 15]], np.float32)
    scores, three = np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64)
    others = np.array([[0], [0], [1]], np.int16), np.array([[0.3], [0.4], [0.5]], np.float32)
    proposals = Proposals(boxes, three, scores, three, np.zeros((3, 4), bool), np.zeros(3, bool), *others)
    found = read_candidates(_answer(proposals, Suppression()), dict.fromkeys(NAMES, 0.35), HW, polygons=False)
    assert [one.attributes.get("synonym_score") for one in found] == ["0.3000", "0.4000", None]


def test_a_tag_is_there_once_chosen_or_not() -> None:
    """A weaker box of a tag that is set says nothing of its own, or the tag would count as missing."""
    boxes, labels = np.array([[5, 5, 20, 20], [30, 5, 45, 20], [5, 25, 20, 38]], np.float32), np.full(3, 3)
    scores, none = np.array([0.8, 0.5, 0.33], np.float32), np.zeros((3, 0))
    proposals = Proposals(
        *(boxes, labels, scores, np.zeros(3, np.int64)),
        *(np.zeros((3, 4), bool), np.zeros(3, bool), none.astype(np.int16), none.astype(np.float32)),
    )
    for threshold, expected in ((0.35, [(0.8, True)]), (0.9, [(0.8, False)])):
        found = read_candidates(_answer(proposals, Suppression()), dict.fromkeys(NAMES, threshold), HW, polygons=False)
        assert [(one.score, one.chosen) for one in found] == expected


@pytest.mark.parametrize("mangle", ["labels", "rules", "proposals", "masks", "hw", "boxes", "a list"])
def test_what_is_no_answer_is_a_sentence(mangle: str) -> None:
    answer = _answer(_proposals(1, 5), Suppression())
    if mangle == "boxes":
        answer["proposals"]["boxes"] = [[1, 2, 3]]
    elif mangle == "a list":
        answer = [answer]  # type: ignore[assignment]
    else:
        del answer[mangle]
    with pytest.raises(CvatError, match="the answer cannot be read"):
        read_candidates(answer, dict.fromkeys(NAMES, 0.35), HW, polygons=False)
