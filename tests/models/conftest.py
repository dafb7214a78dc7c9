"""Tiny models of the real classes with random weights, and pictures of noise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam

from promptable.models.sam.build import SamConfig
from tests.models.sam import tiny

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
    return tiny.CONFIG


@pytest.fixture(scope="session")
def tiny_sam() -> Sam:
    return tiny.tiny_model()
