"""The masks are upstream's at the real sizes: whole ViT-B and Hiera-tiny, pictures from 64 px to 8K, photos."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sam2.sam2_image_predictor import SAM2ImagePredictor
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from benchmarks.click_models import ours, random_model, random_sam
from promptable.models.sam.build import PRESETS
from promptable.models.sam.segmenter import SamSegmenter
from promptable.models.segmentation.segmenter import Prompt, Segmenter
from toy.metrics import mask_iou

MEDIA = Path(__file__).parents[3] / "shared" / "media"
PHOTOS = ("truck.jpg", "cat_dog.jpeg", "groceries.jpg")
SIZES = {"64 px": (64, 64), "portrait": (1919, 1081), "narrow": (2000, 37), "8K": (4320, 7680)}
Answer = tuple[NDArray[np.bool_], NDArray[np.float32]]
"""A mask and its low-res logits."""
Expected = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits at the picture's size and low-res ones."""

# The faster encoders add up in another order, which moves a logit by this part of the logits' deviation at most. A
# mask is their sign, so that only a pixel whose logit is as near to zero may fall to the other side.
ROUNDING = 1e-4
# Random weights give masks of noise, with edges everywhere, so that there are a few such pixels.
LEAST_IOU = 0.9999
# Upstream enlarges three masks at once, which rounds a little differently: of 33 million pixels one may fall astray.
MOST_ASTRAY = 1e-7


@pytest.fixture(scope="module")
def thin_sam() -> Sam:
    """ViT-B's resolution and decoder, behind an encoder of one thin block."""
    return random_sam(replace(PRESETS["vit_b"], encoder_embed_dim=16, encoder_depth=1, encoder_num_heads=2))


@pytest.fixture(scope="module")
def sam2_tiny() -> tuple[Any, Segmenter]:
    """Upstream's predictor and the function's segmenter, of the same weights."""
    return SAM2ImagePredictor(random_model("sam2.1-tiny")), ours(random_model("sam2.1-tiny"))


def _prompts(hw: tuple[int, int]) -> list[Prompt]:
    height, width = hw
    click = np.array([[0.4 * width, 0.6 * height]], np.float32)
    box = np.array([0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height], np.float32)
    return [Prompt(click, np.ones(1, np.int32)), Prompt(click, np.zeros(1, np.int32), box)]


def _expected(predictor: Any, image: NDArray[np.uint8]) -> list[Expected]:
    """The logits of upstream's best mask for each prompt."""
    predictor.set_image(image)
    return [_best(predictor, prompt) for prompt in _prompts((image.shape[0], image.shape[1]))]


def _best(predictor: Any, prompt: Prompt) -> Expected:
    points = (prompt.points_xy, prompt.labels, prompt.box_xyxy)
    full, scores, logits = predictor.predict(*points, multimask_output=prompt.is_ambiguous, return_logits=True)
    best = int(scores.argmax())
    return full[best].copy(), logits[best]


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
    for (mask, logits), (full, their_logits) in zip(_found(SamSegmenter(thin_sam), image), expected, strict=True):
        np.testing.assert_array_equal(logits, their_logits)
        assert (mask != (full > 0)).mean() <= MOST_ASTRAY


def test_the_whole_vit_b_is_upstreams() -> None:
    """On a photo turned upright, or else a generated picture."""
    image = np.rot90(_photo(PHOTOS[0])).copy() if (MEDIA / PHOTOS[0]).is_file() else _generated((1800, 1200))
    sam = random_model("vit_b")
    expected = _expected(SamPredictor(sam), image)
    _assert_near(_found(ours(sam), image), expected)


@pytest.mark.parametrize("size", ["64 px", "portrait", "8K"])
def test_the_whole_hiera_tiny_is_upstreams(sam2_tiny: tuple[Any, Segmenter], size: str) -> None:
    """8K lies, so that both ways round are there."""
    predictor, segmenter = sam2_tiny
    image = _generated(SIZES[size])
    _assert_near(_found(segmenter, image), _expected(predictor, image))


def _assert_near(found: list[Answer], expected: list[Expected]) -> None:
    """Masks are compared as they are, and with the logits cut at their median, where noise has the most edges."""
    for (mask, logits), (full, their_logits) in zip(found, expected, strict=True):
        rounding = ROUNDING * float(their_logits.std())
        np.testing.assert_allclose(logits, their_logits, atol=rounding, rtol=0)
        cut = np.median(their_logits)
        assert mask_iou(logits > cut, their_logits > cut) >= LEAST_IOU
        assert not (mask != (full > 0))[np.abs(full) > rounding].any(), "IoU 1 wherever rounding does not decide"
