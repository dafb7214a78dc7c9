"""What a track gives back: for each shape type, in both dialects, for lost objects, for steps out of order."""

import json
from typing import Any

import numpy as np
import pytest

from promptable.wire import most_objects
from promptable.wire.masks import mask_to_rle, polygon_to_mask, rle_to_mask
from tests.functions.conftest import Function
from tests.functions.requests import VIDEO, first_shapes
from toy.metrics import mask_iou
from toy.png import png_base64

HW = (192, 192)


def _start(tracker: Function, shapes: list[Any]) -> dict[str, Any]:
    answer: dict[str, Any] = tracker.answer({"image": png_base64(VIDEO[0].image), "shapes": shapes, "states": []})
    return answer


def _step(tracker: Function, states: list[Any], frame: int = 1, image: Any = None) -> dict[str, Any]:
    picture = VIDEO[frame].image if image is None else image
    body = {"image": png_base64(picture), "shapes": [None] * len(states), "states": states}
    answer: dict[str, Any] = tracker.answer(body)
    return answer


@pytest.mark.parametrize("kind", ["rectangle", "mask", "polygon"])
def test_the_shape_type_that_came_in_comes_out(tracker: Function, kind: str) -> None:
    shapes = first_shapes(kind)
    started = _start(tracker, shapes)
    assert [shape["type"] for shape in started["shapes"]] == [kind] * len(shapes)
    assert np.allclose(started["shapes"][0]["points"], shapes[0]["points"]), "what people drew is not changed"
    following = _step(tracker, started["states"])
    assert {shape["type"] for shape in following["shapes"] if shape is not None} == {kind}
    assert not any("score" in shape for shape in started["shapes"]), "people are sure"
    assert all(0.5 < shape["score"] <= 1 for shape in following["shapes"]), "the model says how sure it is"


THIN = [10, 50.6, 150, 50.9, 150, 51.3, 10, 51.2]
"""A wire of half a pixel: no pixel's centre lies in it."""


def test_a_polygon_too_thin_for_a_pixel_starts_a_track(tracker: Function) -> None:
    started = _start(tracker, [{"type": "polygon", "points": THIN}])
    assert started["shapes"] == [{"type": "polygon", "points": THIN}]
    assert _step(tracker, started["states"])["states"][0] is not None
    flat = {"type": "polygon", "points": [10, 50, 150, 50, 80, 50]}
    assert _start(tracker, [flat])["states"] == [None], "which has no height at all"


def test_a_polygon_too_thin_for_a_pixel_corrects_a_track(tracker: Function) -> None:
    states = _start(tracker, first_shapes("polygon"))["states"][:1]
    thin = {"type": "polygon", "points": THIN}
    answer = tracker.answer({"image": png_base64(VIDEO[1].image), "states": states, "corrections": [thin]})
    assert answer["shapes"] == [thin]


def test_masks_and_polygons_land_on_the_objects(tracker: Function) -> None:
    truths = [thing.mask for thing in VIDEO[1].objects]
    masks = _step(tracker, _start(tracker, first_shapes("mask"))["states"])["shapes"]
    polygons = _step(tracker, _start(tracker, first_shapes("polygon"))["states"])["shapes"]
    for truth, mask, polygon in zip(truths, masks, polygons, strict=True):
        assert mask_iou(rle_to_mask(mask["points"], HW), truth) > 0.6
        assert mask_iou(polygon_to_mask(polygon["points"], HW), truth) > 0.6


def test_bare_rectangles_are_answered_bare(tracker: Function) -> None:
    bare = [shape["points"] for shape in first_shapes("rectangle")]
    started = _start(tracker, bare)
    assert np.allclose(started["shapes"], bare)
    following = _step(tracker, started["states"])
    assert np.shape(following["shapes"]) == (len(bare), 4)


def test_a_lost_mask_is_null_and_a_lost_rectangle_keeps_its_last_box(tracker: Function) -> None:
    gone = np.full((*HW, 3), 110, np.uint8)
    mask_states = _start(tracker, first_shapes("mask"))["states"]
    box_states = _start(tracker, first_shapes("rectangle"))["states"]
    boxes = _step(tracker, box_states)
    assert _step(tracker, mask_states, image=gone)["shapes"] == [None] * len(mask_states)
    lost = _step(tracker, boxes["states"], image=gone)
    kept = [{"type": "rectangle", "points": box["points"], "outside": True} for box in boxes["shapes"]]
    assert lost["shapes"] == kept


def test_a_mask_too_small_for_the_model_to_see_is_followed_from_its_box(tracker: Function) -> None:
    """On pictures of five times the model's resolution a speck of 3 x 3 pixels is no pixel of the model's."""
    first, second = (np.kron(scene.image, np.ones((5, 5, 1), np.uint8)) for scene in VIDEO[:2])
    row, column = (5 * int(axis[len(axis) // 2]) + 2 for axis in np.nonzero(VIDEO[0].objects[-1].mask))
    speck = np.zeros(first.shape[:2], bool)
    speck[row - 1 : row + 2, column - 1 : column + 2] = True
    shape = {"type": "mask", "points": mask_to_rle(speck).tolist()}
    started = tracker.answer({"image": png_base64(first), "shapes": [shape], "states": []})
    assert started["shapes"] == [shape]
    (found,) = _step(tracker, started["states"], image=second)["shapes"]
    assert found is not None
    mask = rle_to_mask(found["points"], (first.shape[0], first.shape[1]))[::5, ::5]
    assert mask_iou(mask, VIDEO[1].objects[-1].mask) > 0.8


def test_a_null_state_stays_null_and_does_not_disturb_the_others(tracker: Function) -> None:
    states = _start(tracker, first_shapes("mask"))["states"]
    alone = _step(tracker, states)
    between = _step(tracker, [None, *states, None])
    assert between["shapes"][0] is between["shapes"][-1] is between["states"][0] is None
    assert between["shapes"][1:-1] == alone["shapes"]


def test_only_null_states_are_answered_null(tracker: Function) -> None:
    assert _step(tracker, [None, None]) == {"shapes": [None, None], "states": [None, None]}


def test_shapes_that_an_old_ui_sends_beside_states_are_ignored(tracker: Function) -> None:
    states = _start(tracker, first_shapes("rectangle"))["states"]
    body = {"image": png_base64(VIDEO[1].image), "shapes": first_shapes("mask"), "states": states}
    assert tracker.answer(body)["shapes"] == _step(tracker, states)["shapes"]


def test_a_step_can_be_repeated_rewound_and_branched_to_the_pixel(tracker: Function) -> None:
    states = [_start(tracker, first_shapes("mask"))["states"]]
    shapes = []
    for frame in range(1, 6):
        answer = _step(tracker, states[-1], frame)
        states.append(answer["states"])
        shapes.append(answer["shapes"])
    assert _step(tracker, states[4], 5)["shapes"] == shapes[4]
    assert _step(tracker, states[1], 2)["shapes"] == shapes[1]
    branch = _step(tracker, states[2], 5)["shapes"]
    assert _step(tracker, states[2], 3)["shapes"] == shapes[2] != branch


def test_objects_of_different_ages_may_come_together(tracker: Function) -> None:
    old = _step(tracker, _start(tracker, first_shapes("mask"))["states"])["states"]
    body = {"image": png_base64(VIDEO[1].image), "shapes": first_shapes("rectangle"), "states": []}
    new = tracker.answer(body)["states"]
    together = _step(tracker, [*new, *old], 2)["shapes"]
    apart = [*_step(tracker, new, 2)["shapes"], *_step(tracker, old, 2)["shapes"]]
    assert together == apart


def test_the_state_stays_tiny_over_forty_frames(tracker: Function) -> None:
    states = _start(tracker, first_shapes("mask")[:1])["states"]
    for frame in range(1, 41):
        states = _step(tracker, states, frame % len(VIDEO))["states"]
    assert states[0]["step"] == 40
    assert len(json.dumps(states[0])) < 2048


def test_more_masks_than_memory_should_take_are_refused_before_anything_is_decoded(
    tracker: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = first_shapes("mask")
    states = _start(tracker, shapes)["states"]
    assert len(shapes) > 1
    monkeypatch.setattr(most_objects, "_MOST_MASK_BYTES", HW[0] * HW[1])
    for field, body in (("shapes", {"shapes": shapes}), ("states", {"shapes": [], "states": states})):
        refused = tracker.post({"image": png_base64(VIDEO[1].image), **body})
        said = f"{field}: expected at most 1 objects at once in a 192 x 192 picture, got {len(shapes)}: send the others"
        assert (refused.status_code, said in str(refused.body)) == (400, True)
    assert len(_step(tracker, states[:1])["shapes"]) == 1


def test_all_objects_that_a_request_may_have_fit_in_4k() -> None:
    assert most_objects.most_objects((2160, 3840)) == most_objects.MOST_OBJECTS
    assert most_objects.most_objects((10_000, 10_000)) == 21
    assert most_objects.most_objects((60_000, 60_000)) == 1
