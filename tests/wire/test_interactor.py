import json
from weakref import WeakSet

import cv2
import numpy as np
import pytest

from promptable.errors import BadRequestError
from promptable.wire.answer_form import AnswerForm
from promptable.wire.interactor import ScoredMask, encode, parse
from promptable.wire.masks import polygon_to_mask, rle_to_mask
from tests.wire.samples import IMAGE, mask_of

MASK = mask_of("""
    .......
    .###...
    .#.#...
    .###...
    ....#..
""")
OTHER = mask_of("""
    .....##
    .......
    .......
    .......
    .......
""")
NOTHING = np.zeros((5, 5), bool)


def request(**fields):
    return parse({"image": IMAGE, **fields})


@pytest.mark.parametrize(
    ("name", "positive", "negative", "boxes"),
    [
        ("interactor-points", [[80.5, 100.25], [90, 110]], [[200, 30]], []),
        ("interactor-no-bbox", [[80, 100]], [], []),
        ("interactor-points-and-box", [[80, 100]], [[10, 10]], [[40, 60, 120, 140]]),
        ("interactor-box", [], [], [[40.3, 60.1, 120.7, 140.9]]),
    ],
)
def test_recorded_requests(recording, name, positive, negative, boxes):
    found = parse(recording(name))
    for array, expected, columns in (
        (found.positive_xy, positive, 2),
        (found.negative_xy, negative, 2),
        (found.boxes_xyxy, boxes, 4),
    ):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, np.array(expected, np.float32).reshape(-1, columns))
    assert found.image.decode(1).shape == (240, 320, 3)


def test_several_boxes_two_corners_each_in_any_order():
    found = request(pos_points=[], obj_bbox=[[1, 2], [3, 4], [9, 8], [5, 6], [5, 1], [2, 7]])
    assert found.boxes_xyxy.tolist() == [[1, 2, 3, 4], [5, 6, 9, 8], [2, 1, 5, 7]]


@pytest.mark.parametrize(
    "absent", [{}, {"neg_points": None, "obj_bbox": None}, {"neg_points": [], "obj_bbox": []}], ids=str
)
def test_absent_null_and_empty_are_the_same(absent):
    found = request(pos_points=[[1, 2]], **absent)
    assert found.negative_xy.shape == (0, 2)
    assert found.boxes_xyxy.shape == (0, 4)


def test_a_first_negative_click_is_a_request():
    found = request(pos_points=[], neg_points=[[4, 4]], obj_bbox=[])
    assert found.negative_xy.tolist() == [[4, 4]]


def test_words_beside_clicks_do_no_harm():
    assert request(pos_points=[[1, 2]], text_prompts=["a star"]).positive_xy.tolist() == [[1, 2]]


NAN = float("nan")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "pos_points: expected at least one point, or a box in obj_bbox, got neither"),
        ({"pos_points": [], "obj_bbox": []}, "pos_points: expected at least one point"),
        ({"text_prompts": ["a star"]}, "text_prompts: this model takes no words"),
        ({"text_prompts": []}, "pos_points: expected at least one point"),
        ({"pos_points": "here"}, "pos_points: expected a list of 0 to 1000 items, got a text of 4 characters"),
        ({"pos_points": {"x": 1}}, "pos_points: expected a list of 0 to 1000 items, got an object with the keys 'x'"),
        ({"pos_points": [[1, 2]] * 1001}, "pos_points: expected a list of 0 to 1000 items, got a list of 1001"),
        ({"pos_points": [1, 2]}, r"pos_points\[0\]: expected a list of 2 items, got the number 1"),
        ({"pos_points": [[1, 2], [3]]}, r"pos_points\[1\]: expected a list of 2 items, got a list of 1"),
        ({"pos_points": [[1, 2, 3]]}, r"pos_points\[0\]: expected a list of 2 items, got a list of 3"),
        ({"pos_points": [[1, None]]}, r"pos_points\[0\]\[1\]: expected a number from -1000000 to 1000000, got nothing"),
        ({"pos_points": [[1, "2"]]}, r"pos_points\[0\]\[1\]: expected a number .* got a text of 1 characters, '2'"),
        ({"pos_points": [[True, 2]]}, r"pos_points\[0\]\[0\]: expected a number .* got true"),
        ({"pos_points": [[NAN, 2]]}, r"pos_points\[0\]\[0\]: expected a number .* got the number nan"),
        ({"pos_points": [[1, -float("inf")]]}, r"pos_points\[0\]\[1\]: expected a number .* got the number -inf"),
        ({"pos_points": [[1, 10**4000]]}, r"pos_points\[0\]\[1\]: expected a number .* got the number 10+\.\.\."),
        ({"pos_points": [[1, 2]], "neg_points": [[1e7, 2]]}, r"neg_points\[0\]\[0\]: expected a number"),
        ({"obj_bbox": [40, 60, 120, 140]}, r"obj_bbox\[0\]: expected a list of 2 items, got the number 40"),
        ({"obj_bbox": [[40, 60]]}, r"obj_bbox: expected two corners \[x, y\] per box, got a list of 1"),
        ({"obj_bbox": [[1, 2], [3, 4], [5, 6]]}, "obj_bbox: expected two corners"),
        ({"obj_bbox": [[1, 2]] * 202}, "obj_bbox: expected a list of 0 to 200 items, got a list of 202"),
        (
            {"obj_bbox": [[4, 5], [4, 5]]},
            r"obj_bbox\[0\]: expected a box with an area, got the corners \(4, 5\) and \(4, 5\)",
        ),
        ({"obj_bbox": [[1, 2], [3, 4], [4, 5], [4, 9]]}, r"obj_bbox\[2\]: expected a box with an area"),
        ({"obj_bbox": False}, "obj_bbox: expected a list of 0 to 200 items, got false"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(BadRequestError, match=f"^{message}"):
        request(**fields)


def test_inside_the_picture_boxes_are_cut_and_points_stay():
    found = request(pos_points=[[0, 0], [16, 12]], neg_points=[[3, 4]], obj_bbox=[[-5, 2], [99, 8], [1, 1], [2, 2]])
    inside = found.inside((12, 16))
    assert inside.boxes_xyxy.tolist() == [[0, 2, 16, 8], [1, 1, 2, 2]]
    assert inside.positive_xy.tolist() == [[0, 0], [16, 12]]
    assert request(pos_points=[[1, 1]]).inside((12, 16)).boxes_xyxy.shape == (0, 4)


def test_a_click_that_slipped_off_the_edge_is_moved_to_the_border():
    found = request(pos_points=[[5, 12.25], [-0.3, 4]], neg_points=[[16.2, -0.2]]).inside((12, 16))
    assert found.positive_xy.tolist() == [[5, 12], [0, 4]]
    assert found.negative_xy.tolist() == [[16, 0]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"pos_points": [[1, 1], [16.4, 3]]},
            r"pos_points\[1\]: expected a point inside the 16 x 12 picture, got \[16.39.*, 3",
        ),
        ({"pos_points": [[16.3, 12.3]]}, r"pos_points\[0\]: expected a point inside"),
        ({"pos_points": [[1, -0.5]]}, r"pos_points\[0\]: expected a point inside"),
        ({"pos_points": [[1, 1]], "neg_points": [[1, 13]]}, r"neg_points\[0\]: expected a point inside"),
        ({"obj_bbox": [[1, 1], [2, 2], [20, 1], [30, 9]]}, r"obj_bbox\[2\]: expected a box inside the 16 x 12 picture"),
        ({"obj_bbox": [[-9, 1], [0, 2]]}, r"obj_bbox\[0\]: expected a box inside"),
    ],
)
def test_outside_the_picture(fields, message):
    with pytest.raises(BadRequestError, match=f"^{message}"):
        request(**fields).inside((12, 16))


def test_the_answer_for_cvat_2_62_and_later():
    answer = encode([ScoredMask(MASK, 0.93), ScoredMask(OTHER, 1.07)], MASK.shape, AnswerForm.SHAPES)
    shapes = json.loads(answer)["shapes"]
    assert json.loads(answer).keys() == {"shapes"}
    assert [shape.keys() for shape in shapes] == [{"type", "points", "attributes"}] * 2
    assert [shape["type"] for shape in shapes] == ["mask", "mask"]
    assert [shape["attributes"] for shape in shapes] == [
        [{"spec_id": 0, "value": "0.9300"}],
        [{"spec_id": 0, "value": "1.0000"}],
    ]
    np.testing.assert_array_equal(rle_to_mask(shapes[0]["points"], MASK.shape), MASK)
    np.testing.assert_array_equal(rle_to_mask(shapes[1]["points"], MASK.shape), OTHER)


def test_the_answer_for_older_cvat():
    answer = json.loads(encode([ScoredMask(MASK, 0.93), ScoredMask(OTHER, 0.5)], MASK.shape, AnswerForm.MASK))
    assert answer.keys() == {"mask", "points"}
    assert answer["mask"] == (MASK | OTHER).astype(int).tolist()
    filled = MASK.copy()
    filled[2, 2] = True
    np.testing.assert_array_equal(polygon_to_mask(np.ravel(answer["points"]), MASK.shape), filled)
    assert all(len(point) == 2 for point in answer["points"])


@pytest.mark.parametrize("masks", [[], [ScoredMask(NOTHING, 0.4)]], ids=["no mask", "an empty mask"])
def test_nothing_found(masks):
    assert json.loads(encode(masks, (5, 5), AnswerForm.SHAPES)) == {"shapes": []}
    assert json.loads(encode(masks, (5, 5), AnswerForm.MASK)) == {"mask": [[0] * 5] * 5, "points": []}


@pytest.mark.parametrize("form", AnswerForm)
@pytest.mark.parametrize("mask", [MASK, NOTHING], ids=["a mask", "an empty mask"])
@pytest.mark.parametrize("score", [NAN, float("inf"), -float("inf")])
def test_a_score_that_is_no_number_is_never_nothing_found(form, mask, score):
    with pytest.raises(ValueError, match="score: NaN or Infinity in an answer"):
        encode([ScoredMask(mask, score)], mask.shape, form)


@pytest.mark.parametrize("form", AnswerForm)
def test_masks_are_let_go_one_by_one(form):
    alive = WeakSet()

    class Tracked(np.ndarray):
        """An array that a WeakSet can hold."""

        __hash__ = object.__hash__

    def made():
        for _ in range(5):
            assert len(alive) <= 1
            mask = MASK.copy().view(Tracked)
            alive.add(mask)
            yield ScoredMask(mask, 0.5)

    assert encode(made(), MASK.shape, form)


def test_a_large_object_at_4k_is_a_small_answer():
    angles = np.linspace(0, 2 * np.pi, 2160, endpoint=False)
    radius = 900 + 100 * np.sin(7 * angles) + np.random.default_rng(0).normal(0, 4, angles.size)
    outline = np.stack([1920 + 1.3 * radius * np.cos(angles), 1080 + radius * np.sin(angles)], 1)
    mask = cv2.fillPoly(np.zeros((2160, 3840), np.uint8), [outline.astype(np.int32)], 1).view(bool)
    assert mask.mean() > 0.3
    assert len(encode([ScoredMask(mask, 0.9)], mask.shape, AnswerForm.SHAPES)) < 100_000
