"""What functions answer, as detections that lie in the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promptable.cvat.answers import named, read_answer
from promptable.cvat.geometry import run_lengths
from promptable.cvat.labels.task_label import TaskLabel
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.errors import CvatError
from promptable.wire.masks import mask_to_rle, rle_to_mask

HW = (40, 60)
RUST = {"label": "rust", "confidence": 0.5}


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_equal_those_of_the_functions(mask: np.ndarray) -> None:
    if not mask.any():
        assert run_lengths.encode(mask, 0, 0) == ()
        return
    assert list(run_lengths.encode(mask, 0, 0)) == mask_to_rle(mask).tolist()
    pixels, left, top = run_lengths.decode(mask_to_rle(mask).tolist())
    whole = np.zeros_like(mask)
    whole[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    assert (whole == mask).all()


@given(arrays(bool, (6, 7), elements=st.booleans()), st.integers(-3, 9), st.integers(-3, 9))
def test_masks_are_cut_at_the_pictures_edge(pixels: np.ndarray, left: int, top: int) -> None:
    picture = np.zeros((30, 30), bool)
    picture[10 + top : 16 + top, 10 + left : 17 + left] = pixels
    inside = picture[10:18, 10:19]
    points = run_lengths.encode(*run_lengths.clipped(pixels, left, top, (8, 9)))
    assert bool(points) == inside.any()
    if points:
        assert (rle_to_mask(points, (8, 9)) == inside).all()


def test_a_video_of_odd_size_comes_a_pixel_larger() -> None:
    """The function saw 42 x 62: boxes, outlines and masks end at the task's own 40 x 60."""
    mask = [1] * (2 * 62) + [0, 39, 61, 40]
    found = read_answer(
        [
            RUST | {"type": "rectangle", "points": [50.004, 30, 62, 42]},
            RUST | {"type": "polygon", "points": [50, 30, 62, 30, 62, 42]},
            RUST | {"type": "mask", "mask": mask, "points": [0, 39, 62, 39, 62, 41]},
            RUST | {"type": "rectangle", "points": [60.5, 10, 61.5, 20]},
        ],
        HW,
        polygons=False,
    )
    assert [one.points for one in found] == [
        (50, 30, 60, 40),
        (50, 30, 60, 30, 60, 40),
        (0, 60, 0, 39, 59, 39),
    ]


def test_masks_become_polygons_where_that_is_wanted() -> None:
    item = RUST | {"type": "mask", "mask": [1, 1, 1, 1, 3, 3, 4, 4], "points": [3, 3, 5, 3, 5, 5]}
    (found,) = read_answer([item], HW, polygons=True)
    assert (found.type, found.points) == ("polygon", (3, 3, 5, 3, 5, 5))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"error": "no"},
        [{"label": "rust"}],
        [RUST | {"type": "rectangle", "points": [0, 0, float("nan"), 9]}],
        [RUST | {"type": "rectangle", "points": [0, 0, 9, 9], "confidence": 1.5}],
        [RUST | {"type": "mask", "mask": [1, 1, 1, 3, 3, 4, 4], "points": []}],
        [RUST | {"type": "skeleton", "points": []}],
        [RUST | {"type": "rectangle", "points": [0, 0, 9, 9], "rotation": 45.0}],
    ],
)
def test_what_is_no_answer_is_a_failure_of_the_frame(answer: object) -> None:
    with pytest.raises(CvatError, match="cannot be read"):
        read_answer(answer, HW, polygons=False)


@pytest.mark.parametrize(
    "answer",
    [
        {"shapes": [{"label_id": 77, "attributes": []}], "tags": []},
        {"shapes": [{"label_id": 1, "attributes": [{"spec_id": 8, "value": "x"}]}], "tags": []},
        {"shapes": []},
        {"shapes": [5], "tags": []},
    ],
    ids=["label", "attribute", "no tags", "no shape"],
)
def test_what_cvat_does_not_know_is_a_failure_of_the_frame(answer: object) -> None:
    """Labels and attributes may have come or gone since the run began."""
    labels = TaskLabels({"rust": TaskLabel(1, "rust", "any", [{"id": 7, "name": "confidence"}])})
    with pytest.raises(CvatError, match=r"the answer cannot be read: (KeyError|TypeError)"):
        named(answer, labels)


@pytest.mark.parametrize(("text", "score"), [("87", 0.87), ("0.87", None), ("870", None), ("sure", None), ("", None)])
def test_another_functions_attribute_may_be_no_confidence(text: str, score: float | None) -> None:
    item = {"label": "rust", "type": "tag", "attributes": [{"name": "confidence", "value": text}]}
    (found,) = read_answer([item], HW, polygons=False)
    assert found.score == score


def test_a_frame_that_the_function_marks_as_failed_has_failed() -> None:
    with pytest.raises(CvatError, match="its log says why"):
        read_answer([{"label": "failed", "confidence": 1.0, "type": "tag"}], HW, polygons=False)
    assert read_answer([{"label": "needs-review", "confidence": 0.2, "type": "tag"}], HW, polygons=False) == []
