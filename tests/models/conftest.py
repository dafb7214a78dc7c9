"""Tiny models of the real classes with random weights, and pictures of noise."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam

from promptable.models.sam.build import SamConfig, build

NoiseImage = Callable[[int, int], NDArray[np.uint8]]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def noise_image() -> NoiseImage:
    """Make a picture of this height and width, uint8 RGB [H, W, 3]; the same one every time."""
    return lambda height, width: np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="session")
def tiny_sam_config() -> SamConfig:
    """A SAM of 64 px with mask prompts of 32 x 32, global attention and windows that do not fit evenly."""
    return SamConfig(
        encoder_embed_dim=16,
        encoder_depth=2,
        encoder_num_heads=2,
        encoder_global_attn_indexes=(1,),
        image_size=64,
        patch_size=8,
        window_size=3,
        prompt_embed_dim=16,
        decoder_num_heads=2,
        decoder_mlp_dim=16,
        iou_head_hidden_dim=16,
    )


@pytest.fixture(scope="session")
def tiny_sam(tiny_sam_config: SamConfig) -> Sam:
    """Random weights, also where the usual start is zero, and large enough that other prompts give other masks."""
    torch.manual_seed(7)
    sam = build(tiny_sam_config)
    with torch.no_grad():
        for weights in (parameter for parameter in sam.parameters() if parameter.dim() > 1):
            weights.normal_(std=3 / math.sqrt(weights[0].numel()))
    return sam
