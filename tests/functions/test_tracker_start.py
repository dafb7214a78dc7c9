"""Shapes that reach outside the picture, or lie outside it, keep no other from being tracked."""

from typing import Any

import numpy as np
import pytest

from promptable.wire.masks import mask_to_rle, rle_to_mask
from tests.functions.conftest import Function
from tests.functions.requests import continuing, first_shapes, starting

HW = (192, 192)
OUTSIDE: dict[str, list[float]] = {
    "rectangle": [300, 20, 320, 60],
    "polygon": [300, 20, 320, 20, 320, 60],
    "mask": [0, 4, 300, 20, 301, 21],
}


def _shape(kind: str, points: Any) -> dict[str, Any]:
    return {"type": kind, "points": points}


def test_corners_outside_come_back_at_the_border(tracker: Function) -> None:
    (shape,) = tracker.answer(starting([_shape("rectangle", [-20, 60, 130, 250.5])]))["shapes"]
    assert shape == _shape("rectangle", [0, 60, 130, 192])


def test_of_a_polygon_only_what_is_inside_comes_back(tracker: Function) -> None:
    (shape,) = tracker.answer(starting([_shape("polygon", [-20, 60, 130, 60, 130, 150, -20, 150])]))["shapes"]
    assert {tuple(point) for point in np.reshape(shape["points"], (-1, 2))} == {
        (0, 60),
        (130, 60),
        (130, 150),
        (0, 150),
    }


def test_of_a_mask_only_what_is_inside_comes_back(tracker: Function) -> None:
    mask = np.zeros((300, 300), bool)
    mask[150:250, 100:280] = True
    (shape,) = tracker.answer(starting([_shape("mask", mask_to_rle(mask).tolist())]))["shapes"]
    np.testing.assert_array_equal(rle_to_mask(shape["points"], HW), mask[:192, :192])


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_shape_outside_keeps_no_other_from_being_tracked(tracker: Function, kind: str) -> None:
    others = first_shapes("rectangle")
    alone = tracker.answer(starting(others))
    started = tracker.answer(starting([_shape(kind, OUTSIDE[kind]), *others]))
    assert started["shapes"][1:] == alone["shapes"]
    assert "shapes [0] lie outside the 192 x 192 picture" in tracker.log.getvalue()
    followed = tracker.answer(continuing(started["states"], 1))
    assert followed["shapes"][1:] == tracker.answer(continuing(alone["states"], 1))["shapes"]
    assert None not in followed["states"][1:]


@pytest.mark.parametrize("kind", ["mask", "polygon"])
def test_a_mask_or_polygon_outside_is_null(tracker: Function, kind: str) -> None:
    started = tracker.answer(starting([_shape(kind, OUTSIDE[kind])]))
    assert started == {"shapes": [None], "states": [None]}


@pytest.mark.parametrize("bare", [False, True])
def test_a_rectangle_outside_gets_a_box_on_every_frame(tracker: Function, bare: bool) -> None:
    """CVAT's sidebar would break on null, for all the objects that it tracks."""
    points, border = OUTSIDE["rectangle"], [191, 20, 192, 60]
    wanted = border if bare else {**_shape("rectangle", border), "outside": True}
    answer = tracker.answer(starting([points if bare else _shape("rectangle", points)]))
    assert answer["shapes"] == [wanted]
    for frame in range(1, 4):
        answer = tracker.answer(continuing(answer["states"], frame))
        assert answer["shapes"] == [wanted]


def test_a_polygon_of_less_than_a_pixel_starts_from_its_box(tracker: Function) -> None:
    """As a rectangle of that size does."""
    speck = _shape("polygon", [1, 1, 1.2, 1, 1.2, 1.2])
    answer = tracker.answer(starting([speck]))
    assert answer["shapes"] == [speck]
    assert answer["states"] != [None]


def test_a_polygon_of_less_than_a_pixel_is_answered_as_its_box(tracker: Function) -> None:
    """Also where the model sees nothing in it: a rectangle's state without a box would be refused on the next frame."""
    sliver = _shape("polygon", [35.4, 190.98, 35.5, 190.93, 36.47, 190.99, 36, 190.92]) | {"as": "rectangle"}
    started = tracker.answer(starting([sliver]))
    (shape,) = started["shapes"]
    np.testing.assert_allclose(shape["points"], [35.4, 190.92, 36.47, 190.99], rtol=1e-6)
    (shape,) = tracker.answer(continuing(started["states"], 1))["shapes"]
    assert shape["type"] == "rectangle"


@pytest.mark.parametrize("drawn", ["rectangle", "polygon", "mask"])
@pytest.mark.parametrize("answered", ["rectangle", "polygon", "mask"])
def test_an_object_may_be_answered_as_another_type_than_it_was_drawn(
    tracker: Function, drawn: str, answered: str
) -> None:
    """A key of ours: CVAT's editor does not send it, and its server passes it on."""
    shapes = [shape | {"as": answered} for shape in first_shapes(drawn)]
    started = tracker.answer(starting(shapes))
    followed = tracker.answer(continuing(started["states"], 1))
    assert {shape["type"] for shape in started["shapes"] + followed["shapes"]} == {answered}
    plain = tracker.answer(starting(first_shapes(drawn)))
    if drawn == answered:
        assert started["shapes"] == plain["shapes"]
    same = tracker.answer(continuing(plain["states"], 1))["shapes"]
    for shape, other in zip(followed["shapes"], same, strict=True):
        np.testing.assert_allclose(_box(shape), _box(other), atol=2)  # an outline is within a pixel of its mask


def _box(shape: dict[str, Any]) -> Any:
    if shape["type"] == "polygon":
        outline = np.reshape(shape["points"], (-1, 2))
        return [*outline.min(0), *outline.max(0)]
    last = 1 if shape["type"] == "mask" else 0
    return np.add(shape["points"][-4:], [0, 0, last, last])


def test_what_it_is_to_be_answered_as_is_checked(tracker: Function) -> None:
    response = tracker.post(starting([{**shape, "as": "points"} for shape in first_shapes("mask")]))
    assert response.status_code == 400
    assert "shapes[0].as: expected rectangle, mask or polygon, got" in response.body


def test_a_box_outside_is_null_where_a_mask_is_wanted(tracker: Function) -> None:
    outside = _shape("rectangle", OUTSIDE["rectangle"]) | {"as": "mask"}
    assert tracker.answer(starting([outside])) == {"shapes": [None], "states": [None]}
