import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from segment_anything import SamPredictor, sam_model_registry
from segment_anything.modeling import Sam

from promptable.models.sam.build import PRESETS, SamConfig, build
from promptable.models.sam.segmenter import SamSegmenter, load
from promptable.models.segmentation.segmenter import PictureError, Prediction, Prompt
from promptable.models.weights import read_sizes
from toy.evaluate_sam import evaluate

NoiseImage = Callable[[int, int], NDArray[np.uint8]]

SIZES = [(64, 64), (48, 96), (130, 70), (5, 7), (1, 60)]
LOW_RES = (32, 32)
LOGITS = np.random.default_rng(5).normal(0, 6, LOW_RES).astype(np.float32)
# One decoding of many prompts adds up in another order than many decodings of one, and which order depends on the CPU.
# These weights multiply float32's rounding: with logits up to 83, both are up to 4e-3 from what float64 gives.
BATCH_TOLERANCE = 1e-2
# A loaded model's encoder adds up in another order than upstream's; logits here reach 20, the real models' weights
# are tamer.
FASTER_TOLERANCE = 4e-2


def prompts(height: int, width: int) -> dict[str, Prompt]:
    """Prompts of every kind; their coordinates are parts of the picture's sides, so that no two sizes share them."""
    points = np.array([[0.3, 0.4], [0.81, 0.77], [0.06, 0.9]], np.float32) * np.array([width, height], np.float32)
    box = np.array([0.2 * width, 0.1 * height, 0.7 * width, 0.95 * height], np.float32)
    one, three = np.ones(1, np.int32), np.array([1, 0, 1], np.int32)
    return {
        "click": Prompt(points[:1], one),
        "negative click": Prompt(points[1:2], 0 * one),
        "clicks": Prompt(points, three),
        "box": Prompt(box_xyxy=box),
        "box and clicks": Prompt(points, three, box),
        "click and logits": Prompt(points[:1], one, mask_input=LOGITS),
        "box and logits": Prompt(box_xyxy=box, mask_input=LOGITS),
        "logits": Prompt(mask_input=LOGITS),
    }


def upstream(sam: Sam, image: NDArray[np.uint8], prompt: Prompt, multimask: bool) -> tuple[Any, Any, Any]:
    """Masks [C, H, W], scores [C] and low-res logits [C, h, w] of ``SamPredictor``."""
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    points = (prompt.points_xy, prompt.labels) if len(prompt.labels) else (None, None)
    logits = None if prompt.mask_input is None else prompt.mask_input[None]
    return predictor.predict(*points, prompt.box_xyxy, logits, multimask)  # type: ignore[no-any-return]


def assert_equal(actual: Prediction, masks: Any, scores: Any, low_res: Any, index: int) -> None:
    assert actual.mask.dtype == np.bool_
    assert actual.low_res_logits.dtype == np.float32
    np.testing.assert_array_equal(actual.mask, masks[index])
    np.testing.assert_array_equal(actual.low_res_logits, low_res[index])
    assert actual.score == scores[index]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", prompts(1, 1))
def test_predictions_are_those_of_sam_predictor(
    tiny_sam: Sam, noise_image: NoiseImage, size: tuple[int, int], kind: str
) -> None:
    image, prompt = noise_image(*size), prompts(*size)[kind]
    segmenter = SamSegmenter(tiny_sam)
    actual = segmenter.predict(segmenter.encode_image(image), prompt)
    masks, scores, low_res = upstream(tiny_sam, image, prompt, multimask=kind in ("click", "negative click"))
    assert actual.mask.shape == size
    assert_equal(actual, masks, scores, low_res, int(np.argmax(scores)))


def test_one_click_takes_the_mask_of_highest_score(tiny_sam: Sam, noise_image: NoiseImage) -> None:
    image = noise_image(48, 96)
    segmenter = SamSegmenter(tiny_sam)
    features = segmenter.encode_image(image)
    chosen = set()
    for point in np.random.default_rng(0).uniform(0, 48, (12, 1, 2)).astype(np.float32):
        prompt = Prompt(point, np.ones(1, np.int32))
        expected = upstream(tiny_sam, image, prompt, multimask=True)
        best = int(np.argmax(expected[1]))
        assert_equal(segmenter.predict(features, prompt), *expected, best)
        chosen.add(best)
    assert chosen == {0, 1, 2}, "the model must prefer each of its masks somewhere, or this test shows little"


def test_the_masks_answer_the_prompt(tiny_sam: Sam, noise_image: NoiseImage) -> None:
    segmenter = SamSegmenter(tiny_sam)
    features = segmenter.encode_image(noise_image(48, 96))
    masks = {segmenter.predict(features, prompt).mask.tobytes() for prompt in prompts(48, 96).values()}
    assert len(masks) == len(prompts(48, 96)), "the parity tests need prompts with different answers"


@pytest.mark.parametrize("size", SIZES)
def test_boxes_together_are_as_one_by_one(tiny_sam: Sam, noise_image: NoiseImage, size: tuple[int, int]) -> None:
    segmenter = SamSegmenter(tiny_sam)
    features = segmenter.encode_image(noise_image(*size))
    corners = np.random.default_rng(1).uniform(0, 1, (5, 2, 2)) * [size[1], size[0]]
    boxes = np.sort(corners, axis=1).reshape(5, 4).astype(np.float32)
    together = list(segmenter.predict_boxes(features, boxes))
    for box, actual in zip(boxes, together, strict=True):
        expected = segmenter.predict(features, Prompt(box_xyxy=box))
        assert actual.score == pytest.approx(expected.score, abs=BATCH_TOLERANCE)
        np.testing.assert_allclose(actual.low_res_logits, expected.low_res_logits, atol=BATCH_TOLERANCE)
        assert (actual.mask != expected.mask).mean() < 0.001


def test_boxes_are_decoded_once(tiny_sam: Sam, noise_image: NoiseImage) -> None:
    segmenter = SamSegmenter(tiny_sam)
    features = segmenter.encode_image(noise_image(64, 64))
    calls: list[object] = []
    hook = tiny_sam.mask_decoder.register_forward_hook(lambda *_: calls.append(_))
    list(segmenter.predict_boxes(features, np.array([[1, 2, 30, 40], [5, 6, 50, 60]], np.float32)))
    hook.remove()
    assert len(calls) == 1


def test_no_boxes_give_no_masks(tiny_sam: Sam, noise_image: NoiseImage) -> None:
    segmenter = SamSegmenter(tiny_sam)
    assert (
        list(segmenter.predict_boxes(segmenter.encode_image(noise_image(64, 64)), np.zeros((0, 4), np.float32))) == []
    )


@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 2, 2)])
def test_boxes_of_another_shape_are_refused(tiny_sam: Sam, noise_image: NoiseImage, shape: tuple[int, ...]) -> None:
    segmenter = SamSegmenter(tiny_sam)
    features = segmenter.encode_image(noise_image(64, 64))
    with pytest.raises(ValueError, match=r"boxes of \[N, 4\]"):
        segmenter.predict_boxes(features, np.zeros(shape, np.float32))


def test_logits_of_another_model_are_refused(tiny_sam: Sam, noise_image: NoiseImage) -> None:
    segmenter = SamSegmenter(tiny_sam)
    features = segmenter.encode_image(noise_image(64, 64))
    with pytest.raises(ValueError, match=r"expected a mask input of \[32, 32\], got \[256, 256\]"):
        segmenter.predict(features, Prompt(mask_input=np.zeros((256, 256), np.float32)))


def test_features_know_their_size(tiny_sam: Sam, noise_image: NoiseImage) -> None:
    features = SamSegmenter(tiny_sam).encode_image(noise_image(48, 96))
    assert features.hw == (48, 96)
    assert features.nbytes == 16 * 8 * 8 * 4


@pytest.mark.parametrize("size", [(1, 200), (200, 1)])
def test_a_picture_that_resizing_makes_vanish_is_refused(
    tiny_sam: Sam, noise_image: NoiseImage, size: tuple[int, int]
) -> None:
    with pytest.raises(PictureError, match=f"too narrow for the model, {size[1]} x {size[0]} pixels"):
        SamSegmenter(tiny_sam).encode_image(noise_image(*size))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_the_official_models(name: str) -> None:
    with torch.device("meta"):
        ours, official = build(PRESETS[name]), sam_model_registry[name]()
    assert shapes(ours) == shapes(official)
    assert [block.window_size for block in ours.image_encoder.blocks] == [
        block.window_size for block in official.image_encoder.blocks
    ]
    assert ours.image_encoder.img_size == 1024
    assert not ours.training


def shapes(sam: Sam) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in sam.state_dict().items()}


def write_folder(folder: Path, config: SamConfig, sam: Sam, **changes: object) -> str:
    (folder / "config.json").write_text(json.dumps(asdict(config) | changes))
    save_file({name: tensor.contiguous() for name, tensor in sam.state_dict().items()}, folder / "model.safetensors")
    return str(folder)


def test_a_folder_loads_as_it_was_saved(
    tmp_path: Path, tiny_sam: Sam, tiny_sam_config: SamConfig, noise_image: NoiseImage
) -> None:
    loaded = load(write_folder(tmp_path, tiny_sam_config, tiny_sam), tmp_path, "cpu")
    image, prompt = noise_image(48, 96), prompts(48, 96)["box and clicks"]
    masks, scores, low_res = upstream(tiny_sam, image, prompt, multimask=False)
    actual = loaded.predict(loaded.encode_image(image), prompt)
    np.testing.assert_array_equal(actual.mask, masks[0])
    np.testing.assert_allclose(actual.low_res_logits, low_res[0], atol=FASTER_TOLERANCE)
    assert actual.score == pytest.approx(scores[0], abs=FASTER_TOLERANCE)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, tiny_sam: Sam, tiny_sam_config: SamConfig) -> None:
    folder = write_folder(tmp_path, tiny_sam_config, tiny_sam, encoder_depth=3)
    with pytest.raises(ValueError, match="does not fit its configuration") as error:
        load(folder, tmp_path, "cpu")
    assert "image_encoder.blocks.2.norm1.weight" in str(error.value)


def test_a_config_names_its_unknown_keys(tmp_path: Path, tiny_sam_config: SamConfig) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(asdict(tiny_sam_config) | {"patchsize": 8}))
    with pytest.raises(ValueError, match=r"config\.json: .*'patchsize'.*; the keys are .*, patch_size,"):
        read_sizes(SamConfig, file)


def test_a_config_names_its_missing_keys(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"encoder_embed_dim": 8, "encoder_num_heads": 1}))
    with pytest.raises(ValueError, match=r"missing 2 .*'encoder_depth' and 'encoder_global_attn_indexes'"):
        read_sizes(SamConfig, file)


def test_a_config_is_read_as_it_was_written(tmp_path: Path, tiny_sam_config: SamConfig) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(asdict(tiny_sam_config)))
    assert read_sizes(SamConfig, file) == tiny_sam_config


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("in_scores", [True, False])
def test_what_is_not_finite_is_no_answer(tiny_sam: Sam, noise_image: NoiseImage, wrong: float, in_scores: bool) -> None:
    def spoil(_module: Any, _inputs: Any, candidates: tuple[torch.Tensor, torch.Tensor]) -> None:
        candidates[in_scores].view(-1)[0] = wrong

    segmenter = SamSegmenter(tiny_sam)
    features = segmenter.encode_image(noise_image(64, 64))
    hook = tiny_sam.mask_decoder.register_forward_hook(spoil)
    try:
        with pytest.raises(FloatingPointError, match="the model answered NaN or Infinity"):
            segmenter.predict(features, prompts(64, 64)["click"])
    finally:
        hook.remove()


def test_the_toy_checkpoint_segments_scenes_it_has_not_seen() -> None:
    folder = Path(__file__).parents[3] / "toy" / "sam"
    figures = evaluate(load(str(folder), folder, "cpu"), count=12)
    assert figures.click_iou > 0.8
    assert figures.box_iou > 0.85
    assert figures.refined_iou > figures.click_iou
    assert figures.score_error < 0.1
