"""The masks are upstream's at the real resolution: pictures from 64 px to 8K, photos, layers of the real sizes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from benchmarks.click_models import random_model, random_sam
from demo.metrics import mask_iou
from promptable.models import sam2_encoder, sam_encoder
from promptable.models.sam import PRESETS, SamSegmenter
from promptable.models.sam2_image import Sam2Segmenter
from promptable.models.segmenter import Prompt, Segmenter

MEDIA = Path(__file__).parents[3] / "shared" / "media"
PHOTOS = ("truck.jpg", "cat_dog.jpeg", "groceries.jpg")
SIZES = {"64 px": (64, 64), "portrait": (1919, 1081), "narrow": (2000, 37), "8K": (4320, 7680)}
Answer = tuple[NDArray[np.bool_], NDArray[np.float32]]
"""A mask and its low-res logits."""

# Random weights give masks of noise, with edges everywhere; sums in another order move a few of its pixels.
LEAST_IOU = 0.9999
# Upstream enlarges three masks at once, which rounds a little differently: of 33 million pixels one may fall astray.
MOST_ASTRAY = 1e-7


@pytest.fixture(scope="module")
def thin_sam() -> Sam:
    """ViT-B's resolution and decoder, behind an encoder of one thin block."""
    return random_sam(replace(PRESETS["vit_b"], encoder_embed_dim=16, encoder_depth=1, encoder_num_heads=2))


@pytest.fixture
def sam_layers() -> Sam:
    """ViT-B's layers of every kind: one with windows, one without."""
    return random_sam(replace(PRESETS["vit_b"], encoder_depth=2, encoder_global_attn_indexes=(1,)))


@pytest.fixture
def sam2_tiny() -> Any:
    return random_model("sam2.1-tiny")


def _prompts(hw: tuple[int, int]) -> list[Prompt]:
    height, width = hw
    click = np.array([[0.4 * width, 0.6 * height]], np.float32)
    box = np.array([0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height], np.float32)
    return [Prompt(click, np.ones(1, np.int32)), Prompt(click, np.zeros(1, np.int32), box)]


def _expected(predictor: Any, image: NDArray[np.uint8]) -> list[Answer]:
    """Upstream's best mask and its low-res logits for each prompt."""
    predictor.set_image(image)
    return [_best(predictor, prompt) for prompt in _prompts((image.shape[0], image.shape[1]))]


def _best(predictor: Any, prompt: Prompt) -> Answer:
    points = (prompt.points_xy, prompt.labels, prompt.box_xyxy)
    masks, scores, logits = predictor.predict(*points, multimask_output=prompt.is_ambiguous)
    best = int(scores.argmax())
    return masks[best].astype(bool), logits[best]


def _found(segmenter: Segmenter, image: NDArray[np.uint8]) -> list[Answer]:
    features = segmenter.encode_image(image)
    answers = [segmenter.predict(features, prompt) for prompt in _prompts(features.hw)]
    return [(answer.mask, answer.low_res_logits) for answer in answers]


def _photo(name: str) -> NDArray[np.uint8]:
    if not (MEDIA / name).is_file():
        pytest.skip("no photos beside the repository")
    return np.array(Image.open(MEDIA / name).convert("RGB"))


def _generated(hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Soft colours; 8K too is quickly made."""
    coarse = np.random.default_rng(3).integers(0, 256, (9, 16, 3), np.uint8)
    return np.array(Image.fromarray(coarse).resize((hw[1], hw[0]), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("picture", [*SIZES, *PHOTOS])
def test_every_picture_is_answered_as_upstream_does(thin_sam: Sam, picture: str) -> None:
    image = _generated(SIZES[picture]) if picture in SIZES else _photo(picture)
    expected = _expected(SamPredictor(thin_sam), image)
    for (mask, logits), (their_mask, their_logits) in zip(_found(SamSegmenter(thin_sam), image), expected, strict=True):
        np.testing.assert_array_equal(logits, their_logits)
        assert (mask != their_mask).mean() <= MOST_ASTRAY


def test_real_layers_of_sam_are_upstreams(sam_layers: Sam) -> None:
    image = _generated((900, 1200))
    expected = _expected(SamPredictor(sam_layers), image)
    sam_encoder.speed_up(sam_layers.image_encoder)
    _assert_near(_found(SamSegmenter(sam_layers), image), expected)


def test_real_sam2_is_upstreams(sam2_tiny: SAM2Base) -> None:
    image = _generated((900, 1200))
    expected = _expected(SAM2ImagePredictor(sam2_tiny), image)
    sam2_encoder.speed_up(sam2_tiny.image_encoder)
    _assert_near(_found(Sam2Segmenter(sam2_tiny), image), expected)


def _assert_near(found: list[Answer], expected: list[Answer]) -> None:
    """Masks are compared as they are, and with the logits cut at their median, where noise has the most edges."""
    for (mask, logits), (their_mask, their_logits) in zip(found, expected, strict=True):
        np.testing.assert_allclose(logits, their_logits, atol=1e-4 * their_logits.std(), rtol=0)
        cut = np.median(their_logits)
        assert mask_iou(logits > cut, their_logits > cut) >= LEAST_IOU
        assert mask_iou(mask, their_mask) >= LEAST_IOU
