"""MM-Grounding-DINO and LLMDet answer as transformers' model does, from the files that it writes and reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertTokenizerFast, MMGroundingDinoForObjectDetection

from promptable.models.grounding_dino.detector import GroundingDINO
from promptable.models.mm_grounding_dino.detector import load
from tests.models.grounding_dino.tiny import word_tokenizer
from tests.models.mm_grounding_dino.tiny import LONG_SIDE, SHORT_SIDE, SIZES, random_mm, saved, theirs

NoiseImage = Callable[[int, int], NDArray[np.uint8]]
PIXELS, SCORE = 1e-3, 1e-5
"""How far numbers may be from transformers': sums of floats in another order."""
PROMPTS = ["red circle", "blue circle", "cargo", "the red stars"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizerFast:
    return word_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def model() -> MMGroundingDinoForObjectDetection:
    return random_mm(**SIZES)


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    sizes = {"size": {"shortest_edge": SHORT_SIDE, "longest_edge": LONG_SIDE}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(sizes))
    word_tokenizer(tmp_path)
    return saved(model, tmp_path)


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
