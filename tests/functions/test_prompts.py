"""Which point belongs to which box."""

import numpy as np
import pytest

from promptable.serving.interactor.prompts import prompts_of
from promptable.wire.images.encoded import EncodedImage
from promptable.wire.interactor import InteractorRequest


def _request(positive: list, negative: list, boxes: list) -> InteractorRequest:
    return InteractorRequest(
        EncodedImage(b"x"),
        np.array(positive, np.float32).reshape(-1, 2),
        np.array(negative, np.float32).reshape(-1, 2),
        np.array(boxes, np.float32).reshape(-1, 4),
    )


def test_points_alone_are_one_prompt() -> None:
    (prompt,) = prompts_of(_request([[1, 2], [3, 4]], [[5, 6]], []))
    assert prompt.points_xy.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert prompt.labels.tolist() == [1, 1, 0]
    assert prompt.box_xyxy is None


def test_negative_points_alone_are_no_prompt() -> None:
    assert prompts_of(_request([], [[5, 6]], [])) == []


def test_each_box_is_a_prompt_with_the_points_that_it_holds() -> None:
    left, right = prompts_of(_request([[15, 5], [2, 2]], [[18, 8]], [[0, 0, 10, 10], [12, 0, 20, 10]]))
    assert (left.points_xy.tolist(), left.labels.tolist()) == ([[2, 2]], [1])
    assert (right.points_xy.tolist(), right.labels.tolist()) == ([[15, 5], [18, 8]], [1, 0])
    assert right.box_xyxy is not None
    assert right.box_xyxy.tolist() == [12, 0, 20, 10]


def test_a_point_in_no_box_goes_to_the_nearest() -> None:
    left, right = prompts_of(_request([], [[11.5, 5]], [[0, 0, 10, 10], [12, 0, 20, 10]]))
    assert len(left.points_xy) == 0
    assert right.points_xy.tolist() == [[11.5, 5]]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=["the smaller first", "the larger first"])
def test_a_point_in_nested_boxes_goes_to_the_smallest(order: list[int]) -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 20, 20]])
    prompts = prompts_of(_request([[5, 5], [15, 15]], [[6, 6]], boxes[order].tolist()))
    smaller, larger = (prompts[order.index(number)] for number in (0, 1))
    assert smaller.points_xy.tolist() == [[5, 5], [6, 6]]
    assert larger.points_xy.tolist() == [[15, 15]]


def test_of_equal_boxes_the_first_gets_the_point() -> None:
    first, second = prompts_of(_request([[5, 5]], [], [[0, 0, 10, 10], [0, 0, 10, 10]]))
    assert (len(first.points_xy), len(second.points_xy)) == (1, 0)
