import copy
import json
import math
import runpy
import socket
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import groundingdino
import numpy as np
import pytest
import torch
from groundingdino.datasets import transforms
from groundingdino.models.GroundingDINO.backbone import swin_transformer
from groundingdino.util.vl_utils import create_positive_map_from_span
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertTokenizerFast

from promptable.models.catalogue import OFFICIAL
from promptable.models.grounding_dino.build import SWIN_B, SWIN_T, GroundingDinoConfig
from promptable.models.grounding_dino.detector import GroundingDINO, load, use_fast_layers
from promptable.models.grounding_dino.preprocess import preprocess
from tests.models.grounding_dino.tiny import BERT, CONFIG, WORDS, tiny_model, word_tokenizer
from toy.evaluate_grounding_dino import evaluate

NoiseImage = Callable[[int, int], NDArray[np.uint8]]
TOY = Path(__file__).parents[3] / "toy/grounding-dino"
PIXELS, SCORE = 1e-3, 1e-5
"""How far numbers may be from upstream's: sums of floats in another order."""
PROMPTS = ["red circle", "blue circle", "cargo", "the red stars"]


@pytest.fixture(scope="module")
def network(tokenizer: BertTokenizerFast) -> nn.Module:
    return tiny_model(tokenizer)


@pytest.fixture
def detector(network: Any) -> GroundingDINO:
    return GroundingDINO(use_fast_layers(copy.deepcopy(network)), CONFIG)


def upstream(network: Any, image: NDArray[np.uint8], prompts: list[str]) -> tuple[Tensor, Tensor]:
    """Boxes xyxy [Q, 4] and scores [Q, P] by upstream's own forward and its map from tokens to prompts.

    That forward runs on every transformers: the model's ``bert`` is the text encoder under test, which
    test_text_encoder.py compares with plain BERT.
    """
    caption = " . ".join(prompts) + " ."
    starts = [sum(len(prompt) + 3 for prompt in prompts[:index]) for index in range(len(prompts))]
    spans = [[[start, start + len(prompt)]] for start, prompt in zip(starts, prompts, strict=True)]
    with torch.inference_mode():
        output = network(preprocess(image, CONFIG.short_side, CONFIG.long_side)[None], captions=[caption])
    scores = output["pred_logits"][0].sigmoid() @ create_positive_map_from_span(network.tokenizer(caption), spans).T
    centre, size = output["pred_boxes"][0].split(2, 1)
    height, width = image.shape[:2]
    corners = torch.cat([centre - size / 2, centre + size / 2], 1) * torch.tensor([width, height, width, height])
    return corners, scores


@pytest.mark.parametrize("hw", [(64, 64), (50, 90), (200, 131), (70, 400)])
def test_boxes_and_scores_are_those_of_upstream(
    detector: GroundingDINO, network: Any, noise_image: NoiseImage, hw: tuple[int, int]
) -> None:
    image = noise_image(*hw)
    found = detector.detect(image, PROMPTS)
    boxes, scores = upstream(network, image, PROMPTS)
    assert found.boxes_xyxy.dtype == found.scores.dtype == np.float32
    np.testing.assert_allclose(found.boxes_xyxy, boxes, atol=PIXELS, rtol=0)
    np.testing.assert_allclose(found.scores, scores, atol=SCORE, rtol=0)
    assert np.ptp(found.scores, axis=0).min() > 1e-3


def test_prompts_beyond_one_caption_are_read_in_several(
    detector: GroundingDINO, network: Any, noise_image: NoiseImage
) -> None:
    image = noise_image(64, 80)
    prompts = [*["blue star"] * 60, *["cargo"] * 30, *["red circle"] * 30]
    found = detector.detect(image, prompts)
    assert found.captions.tolist() == [0] * 12 + [1] * 12
    for rows, columns in ((slice(0, 12), slice(0, 60)), (slice(12, 24), slice(60, None))):
        boxes, scores = upstream(network, image, prompts[columns])
        np.testing.assert_allclose(found.boxes_xyxy[rows], boxes, atol=PIXELS, rtol=0)
        np.testing.assert_allclose(found.scores[rows, columns], scores, atol=SCORE, rtol=0)
    assert not found.scores[:12, 60:].any()
    assert not found.scores[12:, :60].any()


def test_a_picture_is_encoded_once_and_prompts_once_for_all_pictures(
    detector: GroundingDINO, noise_image: NoiseImage
) -> None:
    calls = {"backbone.0": 0, "backbone.1": 0, "bert": 0}

    def count(name: str) -> None:
        calls[name] += 1

    network = detector._model
    hooks = [network.get_submodule(name).register_forward_hook(lambda *_, name=name: count(name)) for name in calls]
    for side in (64, 70, 80):  # which are all resized to one size
        detector.detect(noise_image(side, side), ["red circle", "dog"] * 60)
    for hook in hooks:
        hook.remove()
    levels = detector._config.num_feature_levels
    assert calls == {"backbone.0": 3, "backbone.1": levels, "bert": 2}


@pytest.mark.parametrize("hw", [(1, 1), (2, 3000), (3000, 2), (40, 700)])
def test_pictures_of_any_shape_give_finite_boxes(
    detector: GroundingDINO, noise_image: NoiseImage, hw: tuple[int, int]
) -> None:
    found = detector.detect(noise_image(*hw), ["dog"])
    assert np.isfinite(found.boxes_xyxy).all()
    assert ((found.scores > 0) & (found.scores < 1)).all()


def test_a_picture_with_fewer_places_than_queries_gives_a_box_for_each_place(
    tokenizer: BertTokenizerFast, noise_image: NoiseImage
) -> None:
    """As the official models' 900 queries find them on a strip at half the resolution, when memory is scarce."""
    config = replace(CONFIG, num_queries=900)
    found = GroundingDINO(use_fast_layers(tiny_model(tokenizer, config)), config).detect(noise_image(64, 64), ["dog"])
    assert len(found.boxes_xyxy) == len(found.captions) == 16 * 16 + 8 * 8 + 4 * 4 + 2 * 2
    assert np.isfinite(found.boxes_xyxy).all()


@pytest.mark.parametrize(
    ("hw", "seen"),
    [((20_000, 400), (1350, 64)), ((20_000, 3), (1333, 64)), ((1, 20_000), (64, 1333)), ((1, 1), (800, 800))],
)
def test_of_a_narrow_strip_the_longer_side_keeps_its_size(hw: tuple[int, int], seen: tuple[int, int]) -> None:
    assert preprocess(np.zeros((*hw, 3), np.uint8), 800, 1333).shape[1:] == seen


@pytest.mark.parametrize(("part", "value"), [("boxes", math.nan), ("boxes", math.inf), ("logits", math.nan)])
def test_numbers_that_are_not_finite_are_an_error_and_no_empty_answer(
    detector: GroundingDINO, noise_image: NoiseImage, part: str, value: float
) -> None:
    def damage(*given: Any) -> None:
        given[-1][("boxes", "logits").index(part)][3, 1] = value

    detector._model.transformer.register_forward_hook(damage)
    with pytest.raises(FloatingPointError, match="precision fp32"):
        detector.detect(noise_image(64, 64), ["dog"])


@pytest.mark.parametrize("prompts", [[], ["dog", ""], ["zebra"]])
def test_prompts_that_cannot_be_read_are_refused(detector: GroundingDINO, prompts: list[str]) -> None:
    with pytest.raises(ValueError, match="prompt"):
        detector.prepare(prompts)


@given(st.integers(20, 200), st.floats(1, 2), st.booleans())
def test_pictures_are_resized_to_upstreams_size(short: int, ratio: float, upright: bool) -> None:
    width, height = sorted((short, int(short * ratio)), reverse=not upright)
    resized, _ = transforms.resize(Image.new("L", (width, height)), None, 80, 133)
    assert preprocess(np.zeros((height, width, 3), np.uint8), 80, 133).shape[1:] == resized.size[::-1]


def test_pixels_are_normalised_as_upstreams(noise_image: NoiseImage) -> None:
    image = noise_image(150, 210)
    steps = [
        transforms.RandomResize([80], max_size=133),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    expected, _ = transforms.Compose(steps)(Image.fromarray(image), None)
    one_gray_level = 1 / 255 / 0.224
    assert (preprocess(image, 80, 133) - expected).abs().max() < 1.01 * one_gray_level
    assert (preprocess(image, 80, 133) - expected).abs().mean() < 0.1 * one_gray_level


@pytest.mark.parametrize(
    ("preset", "file", "swin"),
    [(SWIN_T, "GroundingDINO_SwinT_OGC", "swin_T_224_1k"), (SWIN_B, "GroundingDINO_SwinB_cfg", "swin_B_384_22k")],
)
def test_presets_are_upstreams_configurations(
    preset: GroundingDinoConfig, file: str, swin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstreams = runpy.run_path(str(Path(groundingdino.__file__).parent / f"config/{file}.py"))
    assert upstreams["backbone"] == swin
    assert (upstreams["hidden_dim"], upstreams["pe_temperatureH"], upstreams["pe_temperatureW"]) == (256, 20, 20)
    ours = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(preset).items()}
    common = ours.keys() & upstreams.keys()
    assert len(common) == 11
    assert {key: ours[key] for key in common} == {key: upstreams[key] for key in common}

    monkeypatch.setattr(swin_transformer, "SwinTransformer", dict)
    sizes = swin_transformer.build_swin_transformer(swin, pretrain_img_size=0)
    for key in ("embed_dim", "depths", "num_heads", "window_size"):
        assert ours[f"swin_{key}"] == sizes[key]


@pytest.fixture
def folder(tmp_path: Path, network: Any) -> Path:
    """A model folder with the weights of ``network``."""
    word_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(asdict(CONFIG)))
    (tmp_path / "bert.json").write_text(json.dumps(BERT))
    save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, tmp_path / "model.safetensors")
    return tmp_path


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def test_a_loaded_model_is_the_saved_one(folder: Path, detector: GroundingDINO, noise_image: NoiseImage) -> None:
    image = noise_image(64, 64)
    found, expected = load(str(folder), folder, "cpu").detect(image, PROMPTS), detector.detect(image, PROMPTS)
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_loading_needs_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    load(str(folder), folder, "cpu")


def test_keys_of_the_official_checkpoints_are_read(folder: Path) -> None:
    extra = {"label_enc.weight": torch.zeros(3), "bert.embeddings.position_ids": torch.zeros(1, 512)}
    rewrite(folder, lambda tensors: {f"module.{name}": tensor for name, tensor in {**tensors, **extra}.items()})
    load(str(folder), folder, "cpu")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda tensors: {**tensors, "spare.weight": torch.zeros(1)}, "spare.weight"),
        (lambda tensors: {name: t for name, t in tensors.items() if name != "feat_map.bias"}, "feat_map.bias"),
        (lambda tensors: {**tensors, "feat_map.bias": torch.zeros(5)}, "size mismatch for feat_map.bias"),
    ],
)
def test_other_weights_are_refused(folder: Path, change: Any, complaint: str) -> None:
    rewrite(folder, change)
    with pytest.raises(ValueError, match=f"(?s)does not fit its configuration.*{complaint}"):
        load(str(folder), folder, "cpu")


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("config.json", '{"swin_embed_dim": 8}', "config.json.*swin_depths"),
        ("config.json", json.dumps({**asdict(CONFIG), "colour": 1}), "config.json.*colour"),
        ("config.json", json.dumps({**asdict(CONFIG), "num_queries": 0, "dec_layers": 3}), "does not fit"),
        ("config.json", json.dumps({**asdict(CONFIG), "nheads": "8"}), "json: nheads must be a whole number, got '8'"),
        (
            "config.json",
            json.dumps({**asdict(CONFIG), "swin_depths": 2}),
            "swin_depths must be a list of whole numbers",
        ),
        ("config.json", json.dumps({**asdict(CONFIG), "swin_depths": [[2]]}), "swin_depths must be a list"),
        ("config.json", json.dumps({**asdict(CONFIG), "embed_init_tgt": None}), "embed_init_tgt must be true or false"),
    ],
)
def test_other_configurations_are_refused(folder: Path, file: str, text: str, complaint: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=complaint):
        load(str(folder), folder, "cpu")


def test_the_vocabulary_must_be_there(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt is missing"):
        load(str(folder), folder, "cpu")


@pytest.mark.parametrize("words", [WORDS[:-1], [*WORDS, "cat"]])
def test_the_vocabulary_has_as_many_tokens_as_the_text_encoder(folder: Path, words: list[str]) -> None:
    (folder / "vocab.txt").write_text("\n".join(words))
    with pytest.raises(ValueError, match=rf"vocab\.txt has {len(words)} tokens, the model's text encoder {len(WORDS)}"):
        load(str(folder), folder, "cpu")


def test_official_models_have_the_official_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / OFFICIAL["swin-t"].file_name).touch()
    word_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="not the expected vocabulary"):
        load("swin-t", tmp_path, "cpu")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_trained_toy_finds_what_its_prompts_name(precision: str) -> None:
    (figures,) = evaluate(load(str(TOY), TOY, "cpu", precision), [0.35], count=12)
    assert figures.f1 >= 0.85
    assert figures.mean_iou >= 0.75
