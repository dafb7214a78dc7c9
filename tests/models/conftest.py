"""Tiny models of the real classes with random weights, and pictures of noise."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam

from promptable.models.sam.build import SamConfig
from tests.models.sam import tiny
from tests.simulated_cuda import simulated_cuda

if TYPE_CHECKING:
    from transformers import BertTokenizerFast

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


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> "BertTokenizerFast":
    """Of a few words, each a token."""
    from tests.models.grounding_dino.tiny import word_tokenizer  # slow to import, and few need it

    return word_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.fixture
def cuda() -> Iterator[torch.device]:
    """A simulated CUDA device."""
    with simulated_cuda():
        yield torch.device("cuda")
