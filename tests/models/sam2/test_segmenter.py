"""Masks of SAM 2 on pictures: those of upstream's SAM2ImagePredictor on the same weights."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from safetensors.torch import save_file
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor
from torch import nn

from promptable.models.sam2.build import build_architecture
from promptable.models.sam2.image_encoder import fuse_encoder
from promptable.models.sam2.segmenter import Sam2Segmenter, load
from promptable.models.segmentation.segmenter import Prediction, Prompt

NoiseImage = Callable[[int, int], NDArray[np.uint8]]

TOY_CONFIG = Path(__file__).parents[3] / "toy" / "sam2" / "config.yaml"
SIZES = [(64, 64), (48, 96), (130, 70), (1, 60)]
# One decoding of many prompts adds up in another order than many decodings of one.
BATCH_TOLERANCE = 1e-3


def prompts(hw: tuple[int, int], low_res: int) -> dict[str, Prompt]:
    """Prompts of every kind; their coordinates are parts of the picture's sides, so that no two sizes share them."""
    points = (np.array([[0.3, 0.4], [0.81, 0.77], [0.06, 0.9]]) * hw[::-1]).astype(np.float32)
    box = (np.array([0.2, 0.1, 0.7, 0.95]) * (*hw[::-1], *hw[::-1])).astype(np.float32)
    logits = np.random.default_rng(5).normal(0, 6, (low_res, low_res)).astype(np.float32)
    one, three = np.ones(1, np.int32), np.array([1, 0, 1], np.int32)
    return {
        "click": Prompt(points[:1], one),
        "negative click": Prompt(points[1:2], 0 * one),
        "clicks": Prompt(points, three),
        "box": Prompt(box_xyxy=box),
        "box and clicks": Prompt(points, three, box),
        "click and logits": Prompt(points[:1], one, mask_input=logits),
        "box and logits": Prompt(box_xyxy=box, mask_input=logits),
        "logits": Prompt(mask_input=logits),
    }


KINDS = tuple(prompts((1, 1), 1))


@pytest.fixture(scope="module", params=[{}, {"image_size": 96, "directly_add_no_mem_embed": False}], ids=["64", "96"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SAM2Base:
    """A small SAM 2 with random weights so large that every prompt matters."""
    config = OmegaConf.load(TOY_CONFIG)
    config.model.update({"image_size": 64} | request.param)
    file = tmp_path_factory.mktemp("sam2") / "config.yaml"
    OmegaConf.save(config, file)
    torch.manual_seed(5)
    built = build_architecture(file)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return built


def low_res_size(model: SAM2Base) -> int:
    return int(model.image_size) // 4


def upstream(model: SAM2Base, image: NDArray[np.uint8], prompt: Prompt, multimask: bool) -> tuple[Any, Any, Any]:
    """Masks [C, H, W], scores [C] and low-res logits [C, h, w] of SAM2ImagePredictor.

    It takes its feature maps to be those of a 1024 px model, so it is told their sizes here.
    """
    predictor = SAM2ImagePredictor(model)
    predictor._bb_feat_sizes = [(model.image_size // stride, model.image_size // stride) for stride in (4, 8, 16)]
    predictor.set_image(image)
    points = (prompt.points_xy, prompt.labels) if len(prompt.labels) else (None, None)
    logits = None if prompt.mask_input is None else prompt.mask_input[None]
    return predictor.predict(*points, prompt.box_xyxy, logits, multimask)  # type: ignore[no-any-return]


def assert_equal(actual: Prediction, masks: Any, scores: Any, low_res: Any) -> None:
    best = int(np.argmax(scores))
    assert actual.mask.dtype == np.bool_
    assert actual.low_res_logits.dtype == np.float32
    np.testing.assert_array_equal(actual.mask, masks[best])
    np.testing.assert_array_equal(actual.low_res_logits, low_res[best])
    assert actual.score == scores[best]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_sam2_image_predictor(
    model: SAM2Base, noise_image: NoiseImage, size: tuple[int, int], kind: str
) -> None:
    image, prompt = noise_image(*size), prompts(size, low_res_size(model))[kind]
    segmenter = Sam2Segmenter(model)
    actual = segmenter.predict(segmenter.encode_image(image), prompt)
    assert actual.mask.shape == size
    assert_equal(actual, *upstream(model, image, prompt, multimask=kind in ("click", "negative click")))


def test_one_click_takes_the_mask_of_highest_score(model: SAM2Base, noise_image: NoiseImage) -> None:
    image = noise_image(48, 96)
    segmenter = Sam2Segmenter(model)
    features = segmenter.encode_image(image)
    for point in np.random.default_rng(0).uniform(0, 48, (4, 1, 2)).astype(np.float32):
        prompt = Prompt(point, np.ones(1, np.int32))
        masks, scores, low_res = upstream(model, image, prompt, multimask=True)
        assert len(scores) == 3
        assert_equal(segmenter.predict(features, prompt), masks, scores, low_res)


def test_the_masks_answer_the_prompt(model: SAM2Base, noise_image: NoiseImage) -> None:
    segmenter = Sam2Segmenter(model)
    features = segmenter.encode_image(noise_image(48, 96))
    every = prompts((48, 96), low_res_size(model)).values()
    answers = {segmenter.predict(features, prompt).mask.tobytes() for prompt in every}
    assert len(answers) == len(every), "the parity tests need prompts with different answers"


@pytest.mark.parametrize("size", SIZES)
def test_boxes_together_are_as_one_by_one(model: SAM2Base, noise_image: NoiseImage, size: tuple[int, int]) -> None:
    segmenter = Sam2Segmenter(model)
    features = segmenter.encode_image(noise_image(*size))
    corners = np.random.default_rng(1).uniform(0, 1, (5, 2, 2)) * size[::-1]
    boxes = np.sort(corners, axis=1).reshape(5, 4).astype(np.float32)
    for box, actual in zip(boxes, segmenter.predict_boxes(features, boxes), strict=True):
        expected = segmenter.predict(features, Prompt(box_xyxy=box))
        assert actual.score == pytest.approx(expected.score, abs=BATCH_TOLERANCE)
        np.testing.assert_allclose(actual.low_res_logits, expected.low_res_logits, atol=BATCH_TOLERANCE)
        assert (actual.mask != expected.mask).mean() < 0.001


def test_boxes_are_decoded_once(model: SAM2Base, noise_image: NoiseImage) -> None:
    segmenter = Sam2Segmenter(model)
    features = segmenter.encode_image(noise_image(64, 64))
    calls: list[object] = []
    hook = model.sam_mask_decoder.register_forward_hook(lambda *_: calls.append(_))
    list(segmenter.predict_boxes(features, np.array([[1, 2, 30, 40], [5, 6, 50, 60]], np.float32)))
    hook.remove()
    assert len(calls) == 1


def test_no_boxes_give_no_masks(model: SAM2Base, noise_image: NoiseImage) -> None:
    segmenter = Sam2Segmenter(model)
    assert list(segmenter.predict_boxes(segmenter.encode_image(noise_image(9, 9)), np.zeros((0, 4), np.float32))) == []


def test_features_are_the_picture_and_its_size(model: SAM2Base, noise_image: NoiseImage) -> None:
    features = Sam2Segmenter(model).encode_image(noise_image(48, 96))
    side = model.image_size // 4
    assert features.hw == (48, 96)
    assert [tuple(tensor.shape) for tensor in features.tensors] == [
        (1, 16, side, side),
        (1, 32, side // 2, side // 2),
        (1, 128, side // 4, side // 4),
    ]
    assert features.nbytes == 4 * side * side * (16 + 32 // 4 + 128 // 16)


def test_pictures_that_are_views_are_encoded_like_their_copies(model: SAM2Base, noise_image: NoiseImage) -> None:
    segmenter, mirrored = Sam2Segmenter(model), noise_image(40, 50)[:, ::-1, ::-1]
    for view, copy in zip(
        segmenter.encode_image(mirrored).tensors, segmenter.encode_image(mirrored.copy()).tensors, strict=True
    ):
        assert torch.equal(view, copy)


def test_a_refined_prompt_takes_its_own_earlier_logits(model: SAM2Base, noise_image: NoiseImage) -> None:
    segmenter = Sam2Segmenter(model)
    features = segmenter.encode_image(noise_image(48, 96))
    click = np.array([[20, 30]], np.float32)
    first = segmenter.predict(features, Prompt(click, np.ones(1, np.int32)))
    refined = segmenter.predict(features, Prompt(click, np.ones(1, np.int32), mask_input=first.low_res_logits))
    assert np.abs(first.low_res_logits).max() <= 32
    assert not np.array_equal(refined.low_res_logits, first.low_res_logits)


def test_logits_of_another_size_are_refused(model: SAM2Base, noise_image: NoiseImage) -> None:
    segmenter = Sam2Segmenter(model)
    with pytest.raises(ValueError, match=r"expected a mask input of \[\d+, \d+\], got \[7, 9\]"):
        segmenter.predict(segmenter.encode_image(noise_image(8, 8)), Prompt(mask_input=np.zeros((7, 9), np.float32)))


def test_boxes_of_another_shape_are_refused(model: SAM2Base, noise_image: NoiseImage) -> None:
    segmenter = Sam2Segmenter(model)
    with pytest.raises(ValueError, match=r"boxes of \[N, 4\]"):
        segmenter.predict_boxes(segmenter.encode_image(noise_image(8, 8)), np.zeros((2, 2), np.float32))


def test_a_folder_loads_as_its_model(tmp_path: Path, noise_image: NoiseImage) -> None:
    (tmp_path / "config.yaml").write_text(TOY_CONFIG.read_text())
    expected = build_architecture(TOY_CONFIG)
    save_file(expected.state_dict(), tmp_path / "model.safetensors")
    prompt = Prompt(np.array([[9, 5]], np.float32), np.ones(1, np.int32))
    loaded, direct = load(str(tmp_path), tmp_path, "cpu"), Sam2Segmenter(expected)
    image = noise_image(20, 30)
    actual, wanted = (each.predict(each.encode_image(image), prompt) for each in (loaded, direct))
    np.testing.assert_allclose(actual.low_res_logits, wanted.low_res_logits, atol=BATCH_TOLERANCE)


@torch.inference_mode()
def test_the_faster_encoder_gives_the_same_features(model: SAM2Base) -> None:
    torch.manual_seed(3)
    pixels = torch.randn(2, 3, model.image_size, model.image_size)
    faster = deepcopy(model)
    fuse_encoder(faster)
    assert [type(module) for module in faster.image_encoder.modules() if type(module) is nn.Linear] == []
    expected = model.forward_image(pixels)["backbone_fpn"]
    found = faster.forward_image(pixels)["backbone_fpn"]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    last = torch.channels_last
    assert all(level.is_contiguous(memory_format=last) for level in found), "else whatever reads them as tokens is slow"
