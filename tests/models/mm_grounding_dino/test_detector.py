"""MM-Grounding-DINO and LLMDet answer as transformers' model does, from the files that it writes and reads."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertTokenizerFast,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
)

from promptable.models.catalogue import OFFICIAL
from promptable.models.errors import ModelError
from promptable.models.grounding_dino.detector import GroundingDINO
from promptable.models.load import load_detector
from promptable.models.mm_grounding_dino.build import read_config
from promptable.models.mm_grounding_dino.detector import load
from promptable.models.weights import load_state_dict, locate
from tests.models.grounding_dino.tiny import word_tokenizer
from tests.models.mm_grounding_dino.tiny import LONG_SIDE, SHORT_SIDE, SIZES, random_mm, saved, theirs

NoiseImage = Callable[[int, int], NDArray[np.uint8]]
PIXELS, SCORE = 1e-3, 1e-5
"""How far numbers may be from transformers': sums of floats in another order."""
PROMPTS = ["red circle", "blue circle", "cargo", "the red stars"]


@pytest.fixture(scope="module")
def model() -> MMGroundingDinoForObjectDetection:
    return random_mm(**SIZES)


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    return published(model, tmp_path)


def published(model: Any, folder: Path) -> Path:
    """A folder with all that is published of a model that sees small pictures."""
    sizes = {"size": {"shortest_edge": SHORT_SIDE, "longest_edge": LONG_SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(sizes))
    word_tokenizer(folder)
    return saved(model, folder)


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def check(ours: GroundingDINO, model: Any, tokenizer: BertTokenizerFast, image: NDArray[np.uint8]) -> None:
    found = ours.detect(image, PROMPTS)
    boxes, scores = theirs(model, tokenizer, image, PROMPTS)
    np.testing.assert_allclose(found.boxes_xyxy, boxes, atol=PIXELS, rtol=0)
    np.testing.assert_allclose(found.scores, scores, atol=SCORE, rtol=0)
    assert np.ptp(found.scores, axis=0).min() > 1e-3


@pytest.mark.parametrize("hw", [(64, 64), (50, 90), (200, 131), (70, 400)])
def test_boxes_and_scores_are_those_of_transformers(
    folder: Path, model: Any, tokenizer: BertTokenizerFast, noise_image: NoiseImage, hw: tuple[int, int]
) -> None:
    check(load(str(folder), folder, "cpu"), model, tokenizer, noise_image(*hw))


def test_a_finer_level_is_read_as_in_the_large_models(
    tmp_path: Path, tokenizer: BertTokenizerFast, noise_image: NoiseImage
) -> None:
    """All Swin's stages and one level more, with boxes of one head for all layers, of which one copy is stored."""
    sizes = SIZES | {"num_feature_levels": 3, "decoder_bbox_embed_share": True, "decoder_cls_embed_share": True}
    model = random_mm(**sizes)
    folder = published(model, tmp_path)
    assert not any(name.startswith("bbox_embed.1") for name in load_file(folder / "model.safetensors"))
    check(load(str(folder), folder, "cpu"), model, tokenizer, noise_image(120, 100))


def test_files_of_older_transformers_are_read(folder: Path, noise_image: NoiseImage) -> None:
    """They store Swin's constants, and the decoder's copy of a head in place of the model's own."""
    expected = load(str(folder), folder, "cpu").detect(noise_image(64, 64), PROMPTS)
    constant = "model.backbone.conv_encoder.model.encoder.layers.0.blocks.0.attention.self.relative_position_index"

    def older(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {re.sub(r"^bbox_embed\.1", "model.decoder.bbox_embed.1", name): one for name, one in tensors.items()} | {
            constant: torch.zeros(9, 9, dtype=torch.int64)
        }

    rewrite(folder, older)
    found = load(str(folder), folder, "cpu").detect(noise_image(64, 64), PROMPTS)
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_folder_is_known_by_its_configuration(folder: Path) -> None:
    assert isinstance(load_detector(str(folder), folder, "cpu"), GroundingDINO)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda tensors: {**tensors, "spare.weight": torch.zeros(1)}, "spare.weight"),
        (
            lambda tensors: {name: t for name, t in tensors.items() if name != "model.level_embed"},
            "level_embed is miss",
        ),
        (
            lambda tensors: {name: t for name, t in tensors.items() if name != "bbox_embed.1.layers.0.bias"},
            r"bbox_embed.1.layers.0.bias is miss",
        ),
        (lambda tensors: {**tensors, "model.text_projection.bias": torch.zeros(5)}, "size mismatch for feat_map.bias"),
    ],
)
def test_other_weights_are_refused(folder: Path, change: Any, complaint: str) -> None:
    rewrite(folder, change)
    with pytest.raises(ModelError, match=f"(?s)does not fit its configuration.*{complaint}"):
        load(str(folder), folder, "cpu")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"two_stage": False}, "two_stage must be True, got False"),
        ({"decoder_ffn_dim": 64}, "decoder_ffn_dim must be 32, got 64"),
        ({"backbone_config": {"model_type": "swin", "patch_size": 8}}, "patch_size must be 4, got 8"),
        ({"backbone_config": {"model_type": "resnet"}}, "model_type must be 'swin', got 'resnet'"),
    ],
)
def test_other_architectures_are_refused(folder: Path, changes: dict[str, Any], complaint: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ModelError, match=f"config.json: {complaint}"):
        load(str(folder), folder, "cpu")


def test_the_prefix_of_distributed_training_is_dropped(tmp_path: Path, model: Any) -> None:
    folder = published(model, tmp_path)
    rewrite(folder, lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()})
    load(str(folder), folder, "cpu")


def test_pictures_are_resized_as_the_processor_says_which_transformers_saved(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(MMGroundingDinoConfig().to_json_string())
    images = GroundingDinoImageProcessor(size={"shortest_edge": 600, "longest_edge": 1000})
    GroundingDinoProcessor(images, word_tokenizer(tmp_path)).save_pretrained(tmp_path)
    sizes = read_config(tmp_path / "config.json").network
    assert (sizes.short_side, sizes.long_side) == (600, 1000)
    images.size = {"shortest_edge": 500, "longest_edge": 900}
    images.save_pretrained(tmp_path)  # beside what transformers 4 writes of a processor
    (tmp_path / "processor_config.json").write_text('{"processor_class": "GroundingDinoProcessor"}')
    sizes = read_config(tmp_path / "config.json").network
    assert (sizes.short_side, sizes.long_side) == (500, 900)


@pytest.mark.parametrize("text", ["{", "[]", '{"size": {"height": 800}}', '{"size": {"shortest_edge": null}}'])
def test_a_file_of_sizes_that_says_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(MMGroundingDinoConfig().to_json_string())
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ModelError, match=r"preprocessor_config\.json: expected size\.shortest_edge"):
        read_config(tmp_path / "config.json")


def test_official_models_have_the_official_vocabulary(tmp_path: Path) -> None:
    (tmp_path / OFFICIAL["llmdet-large"].file_name).touch()
    word_tokenizer(tmp_path)
    with pytest.raises(ModelError, match="not the expected vocabulary"):
        load("llmdet-large", tmp_path, "cpu")


def test_what_was_recorded_of_an_official_file_holds(tmp_path: Path) -> None:
    row = OFFICIAL["llmdet-tiny"]
    (tmp_path / row.file_name).touch()
    (tmp_path / row.record_name).write_text(f"{'0' * 64}  {row.file_name}\n")
    assert locate("llmdet-tiny", tmp_path).sha256 == "0" * 64
    with pytest.raises(ValueError, match=r"llmdet_tiny\.safetensors is damaged"):
        load_state_dict(tmp_path / row.file_name, locate("llmdet-tiny", tmp_path).sha256)
