"""Correcting clicks on generated scenes: what the logits of the answer before are worth, and what upstream gets."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sam2.sam2_image_predictor import SAM2ImagePredictor
from segment_anything import SamPredictor

from demo.interact import deepest
from promptable.models.sam.build import SamConfig, build
from promptable.models.sam2.build import build as build_sam2
from promptable.models.weights import load_state_dict, locate, read_sizes
from promptable.wire.masks import rle_to_mask
from tests.functions.conftest import TOY, Function
from toy.metrics import mask_iou
from toy.png import png_base64
from toy.scenes import Scene, scenes

Mask = NDArray[np.bool_]
Clicks = list[tuple[float, float, int]]
Answer = Callable[[Scene, Clicks], Mask]
"""The mask for these clicks x, y, label, the last of which is new."""

COUNTED = (3, 5)
SCENES = list(scenes(20_000_000, 12))
# A pixel or two of an object may fall to the other side when float32 sums come in another order.
ROUNDING = 0.002


def mean_ious(answer: Answer) -> NDArray[np.float64]:
    """The mean IoU over all objects after 3 and after 5 correcting clicks."""
    return np.mean([list(_corrected(answer, scene, thing.mask)) for scene in SCENES for thing in scene.objects], axis=0)


def _corrected(answer: Answer, scene: Scene, truth: Mask) -> Iterator[float]:
    clicks: Clicks = [(*deepest(truth), 1)]
    mask = answer(scene, clicks)
    for correction in range(1, max(COUNTED) + 1):
        missing, surplus = truth & ~mask, mask & ~truth
        if (missing | surplus).any():
            positive = bool(missing.sum() >= surplus.sum())
            clicks = [*clicks, (*deepest(missing if positive else surplus), int(positive))]
            mask = answer(scene, clicks)
        if correction in COUNTED:
            yield mask_iou(mask, truth)


def function_answer(function: Function) -> Answer:
    def answer(scene: Scene, clicks: Clicks) -> Mask:
        body: dict[str, Any] = {"image": png_base64(scene.image), "obj_bbox": None}
        for field, wanted in (("pos_points", 1), ("neg_points", 0)):
            body[field] = [[x, y] for x, y, label in clicks if label == wanted]
        shapes = function.answer(body)["shapes"]
        hw = (scene.image.shape[0], scene.image.shape[1])
        return rle_to_mask(shapes[0]["points"], hw) if shapes else np.zeros(hw, bool)

    return answer


def upstream_answer(predictor: Any, refines: bool) -> Answer:
    """Upstream's predictor, with the logits of its last answer as mask prompt, as its examples do; or without."""
    logits: list[Any] = []

    def answer(scene: Scene, clicks: Clicks) -> Mask:
        if len(clicks) == 1:
            predictor.set_image(scene.image)
            logits.clear()
        xy, labels = np.array(clicks)[:, :2], np.array(clicks)[:, 2].astype(int)
        before = logits[-1] if logits and refines else None
        masks, scores, low_res = predictor.predict(xy, labels, mask_input=before, multimask_output=len(clicks) == 1)
        best = int(np.argmax(scores))
        logits.append(low_res[best][None])
        return np.asarray(masks[best], bool)

    return answer


def upstream_predictor(model: str) -> Any:
    files = locate(str(TOY / model), TOY)
    if model == "sam":
        assert files.config is not None
        built = build(read_sizes(SamConfig, files.config))
        built.load_state_dict(load_state_dict(files.weights))
        return SamPredictor(built)
    predictor = SAM2ImagePredictor(build_sam2(files))
    side = predictor.model.image_size
    predictor._bb_feat_sizes = [(side // stride, side // stride) for stride in (4, 8, 16)]  # upstream assumes 1024 px
    return predictor


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_refinement_pays_and_is_upstreams(model: str) -> None:
    ours = mean_ious(function_answer(Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / model)})))
    predictor = upstream_predictor(model)
    refined, fresh = (mean_ious(upstream_answer(predictor, refines)) for refines in (True, False))
    assert (ours >= fresh).all(), f"{ours} after {COUNTED} clicks, {fresh} without refinement"
    np.testing.assert_allclose(ours, refined, atol=ROUNDING)


def test_two_annotators_on_one_picture_are_not_mixed() -> None:
    """Their clicks come in turns, and each gets the answers of working alone."""
    scene = SCENES[0]
    front, back = scene.objects[-1], scene.objects[0]
    mine: Clicks = [(*deepest(front.mask), 1), (*deepest(back.mask), 0), (*front.xyxy[:2].tolist(), 0)]
    theirs: Clicks = [(*deepest(back.mask), 1), (*deepest(front.mask), 0), (*back.xyxy[2:].tolist(), 0)]
    model = {"PROMPTABLE_MODEL": str(TOY / "sam")}
    together, alone, also_alone = (function_answer(Function("sam-interactor", model)) for _ in range(3))
    for count in (1, 2, 3):
        for clicks, lonely in ((mine, alone), (theirs, also_alone)):
            np.testing.assert_array_equal(together(scene, clicks[:count]), lonely(scene, clicks[:count]))


def test_a_removed_or_moved_click_starts_fresh() -> None:
    scene = SCENES[1]
    first = (*deepest(scene.objects[-1].mask), 1)
    second, moved = (5.0, 5.0, 0), (9.0, 30.0, 0)
    model = {"PROMPTABLE_MODEL": str(TOY / "sam2")}
    answer, other = (function_answer(Function("sam-interactor", model)) for _ in range(2))
    lone = answer(scene, [first])
    answer(scene, [first, second])
    np.testing.assert_array_equal(answer(scene, [first]), lone)
    other(scene, [first])
    np.testing.assert_array_equal(answer(scene, [first, moved]), other(scene, [first, moved]))
