"""One shape per box, refinement by further clicks, and the two forms of the answer."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch

from demo.interact import deepest
from promptable.models.sam.segmenter import SamSegmenter
from promptable.models.segmentation.segmenter import Prediction
from promptable.wire.clean import Cleaning
from promptable.wire.masks import polygon_to_mask, rle_to_mask
from tests.functions.conftest import TOY, Function
from tests.functions.requests import SCENE, file_bytes
from toy.metrics import mask_iou
from toy.png import png_base64

HW = (192, 192)
IMAGE = png_base64(SCENE.image)
FRONT = SCENE.objects[-1]


def _body(**prompts: Any) -> dict[str, Any]:
    return {"image": IMAGE, "pos_points": [], "neg_points": [], "obj_bbox": None} | prompts


def _masks(function: Function, **prompts: Any) -> list[np.ndarray]:
    return [rle_to_mask(shape["points"], HW) for shape in function.answer(_body(**prompts))["shapes"]]


def test_a_click_becomes_the_mask_of_the_object_under_it(interactor: Function) -> None:
    (mask,) = _masks(interactor, pos_points=[deepest(FRONT.mask)])
    assert mask_iou(mask, FRONT.mask) > 0.7


def test_each_box_becomes_a_shape_in_the_order_of_the_boxes(interactor: Function) -> None:
    corners = [corner for thing in SCENE.objects for corner in np.reshape(thing.xyxy, (2, 2)).tolist()]
    masks = _masks(interactor, obj_bbox=corners)
    assert len(masks) == len(SCENE.objects)
    for mask, thing in zip(masks, SCENE.objects, strict=True):
        assert mask_iou(mask, thing.mask) > 0.7


def test_a_boxs_corners_may_come_in_any_order(interactor: Function) -> None:
    (left, top), (right, bottom) = np.reshape(FRONT.xyxy, (2, 2)).tolist()
    plain = interactor.answer(_body(obj_bbox=[[left, top], [right, bottom]]))
    assert interactor.answer(_body(obj_bbox=[[right, top], [left, bottom]])) == plain


def test_a_box_beyond_the_border_is_cut_at_the_border(interactor: Function) -> None:
    left, top, _, _ = FRONT.xyxy.tolist()
    cut = interactor.answer(_body(obj_bbox=[[left, top], [192, 192]]))
    assert interactor.answer(_body(obj_bbox=[[left, top], [500, 900]])) == cut


def test_a_further_click_refines_the_answer_to_the_clicks_before(interactor: Function) -> None:
    """The answer to the same two clicks differs by whether the first was answered before: its logits went in."""
    fresh = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")})
    first, second = deepest(FRONT.mask), (FRONT.xyxy[:2] + 3).tolist()
    both = _body(pos_points=[first], neg_points=[second])
    cold = fresh.answer(both)
    interactor.answer(_body(pos_points=[first]))
    refined = interactor.answer(both)
    assert refined != cold
    assert interactor.answer(both) == refined, "a repeated request gets the same answer"


def test_the_cached_answer_equals_the_first(interactor: Function) -> None:
    fresh = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")})
    body = _body(obj_bbox=np.reshape(FRONT.xyxy, (2, 2)).tolist())
    assert fresh.answer(body) == fresh.answer(body) == interactor.answer(body)


def test_a_picture_with_the_same_pixels_in_another_file_is_answered_alike(interactor: Function) -> None:
    point = [deepest(FRONT.mask)]
    bmp = base64.b64encode(file_bytes(SCENE.image, "BMP")).decode()
    assert interactor.answer(_body(pos_points=point) | {"image": bmp}) == interactor.answer(_body(pos_points=point))


def test_the_old_form_is_the_whole_picture_in_rows(interactor: Function) -> None:
    old = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam"), "PROMPTABLE_ANSWER_FORM": "mask"})
    body = _body(pos_points=[deepest(FRONT.mask)])
    answer = old.answer(body)
    assert set(answer) == {"mask", "points"}
    (mask,) = _masks(interactor, pos_points=body["pos_points"])
    assert np.array_equal(np.array(answer["mask"], bool), mask)
    assert all(len(point) == 2 for point in answer["points"])


def test_sam_2_can_stand_in_for_sam() -> None:
    sam2 = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam2")})
    (mask,) = _masks(sam2, obj_bbox=np.reshape(FRONT.xyxy, (2, 2)).tolist())
    assert mask_iou(mask, FRONT.mask) > 0.7


@pytest.mark.parametrize("form", ["shapes", "mask"])
def test_many_boxes_hold_one_mask_at_a_time(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """At 8K a mask is 33 MB, and a request may have a hundred boxes."""
    masks: list[ref[Any]] = []
    predict = SamSegmenter.predict

    def watched(*arguments: Any) -> Prediction:
        assert sum(mask() is not None for mask in masks) <= 1
        found = predict(*arguments)
        masks.append(ref(found.mask))
        return found

    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam"), "PROMPTABLE_ANSWER_FORM": form})
    monkeypatch.setattr(SamSegmenter, "predict", watched)
    function.answer(_body(obj_bbox=[corner for x in range(9) for corner in ([10 * x, 5], [10 * x + 60, 90])]))
    assert len(masks) == 9


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_a_model_that_answers_nan_is_a_failure_and_not_remembered(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / model)})
    body = _body(pos_points=[deepest(FRONT.mask)])
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.LayerNorm, "forward", lambda _, features: features * torch.nan)
        assert function.post(body).status_code == 500
    assert "NaN or Infinity" in function.log.getvalue()
    assert function.answer(body)["shapes"], "the next time all is well"


def test_the_default_model_suits_the_device(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"sam2.1_hiera_tiny.pt is missing"):
        Function("sam-interactor", {"PROMPTABLE_DEVICE": "cpu", "PROMPTABLE_WEIGHTS": str(tmp_path)})


def test_an_unknown_model_keeps_the_function_from_starting() -> None:
    with pytest.raises(FileNotFoundError, match="vit_x"):
        Function("sam-interactor", {"PROMPTABLE_MODEL": "vit_x"})


def test_one_click_may_mean_a_part_or_the_whole() -> None:
    sam2 = {"PROMPTABLE_MODEL": str(TOY / "sam2")}
    part, whole = (Function("sam-interactor", sam2 | {"PROMPTABLE_CLICK_MEANS": what}) for what in ("part", "whole"))
    click = [deepest(FRONT.mask)]
    (smallest,), (largest,) = _masks(part, pos_points=click), _masks(whole, pos_points=click)
    assert smallest.sum() < largest.sum()
    box = _body(obj_bbox=np.reshape(FRONT.xyxy, (2, 2)).tolist())
    assert part.answer(box) == whole.answer(box), "a box is not ambiguous"


def test_masks_are_cleaned_as_the_settings_say(interactor: Function) -> None:
    cleaner = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam"), "PROMPTABLE_SMOOTH_EDGES": "3"})
    click = [deepest(FRONT.mask)]
    (mask,), (smooth,) = _masks(interactor, pos_points=click), _masks(cleaner, pos_points=click)
    np.testing.assert_array_equal(smooth, Cleaning(smooth_edges=3).apply(mask))
    assert (smooth != mask).any()


def test_the_polygon_of_the_old_form_keeps_to_the_mask() -> None:
    old = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam"), "PROMPTABLE_ANSWER_FORM": "mask"})
    answer = old.answer(_body(pos_points=[deepest(FRONT.mask)]))
    drawn = polygon_to_mask(np.ravel(answer["points"]), HW)
    whole = Cleaning(fill_holes=HW[0] * HW[1], largest_part_only=True).apply(np.array(answer["mask"], bool))
    assert mask_iou(drawn, whole) > 0.95


def test_parallel_requests_get_the_answers_of_lonely_ones(interactor: Function) -> None:
    fresh = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")})
    bodies = [_body(pos_points=[deepest(thing.mask)]) for thing in SCENE.objects] * 3
    with ThreadPoolExecutor(len(bodies)) as pool:
        together = list(pool.map(fresh.answer, bodies))
    assert together == [interactor.answer(body) for body in bodies]


@pytest.mark.parametrize(
    ("form", "nothing"), [("shapes", {"shapes": []}), ("mask", {"mask": [[0] * 192] * 192, "points": []})]
)
def test_a_first_click_on_what_it_is_not_answers_nothing_yet(form: str, nothing: dict[str, Any]) -> None:
    """With min_pos_points 0, which a box alone needs, CVAT's editor sends such a click."""
    function = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam"), "PROMPTABLE_ANSWER_FORM": form})
    assert function.answer(_body(neg_points=[[4, 4]])) == nothing
