"""A GPU's pixels are Pillow's and torchvision's to the byte."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling
from torchvision.transforms.v2 import functional as transforms

from promptable.models.pixels.resize import resize, resize_as_pytorch
from tests.models.pixels.test_resize import picture

CUDA = torch.device("cuda")
HW = [tuple(sides) for sides in np.random.default_rng(20).integers(2, 600, (30, 4)).tolist()]
"""Height and width before, and after."""


def _image(height: int, width: int) -> NDArray[np.uint8]:
    return picture((height, width))


@pytest.mark.parametrize("kernel", [Resampling.BILINEAR, Resampling.BICUBIC])
def test_the_bytes_of_pillow(kernel: Resampling) -> None:
    for *before, height, width in HW:
        image = _image(*before)
        found = resize(image, (height, width), kernel, CUDA)
        assert found.is_cuda
        expected = np.asarray(Image.fromarray(image).resize((width, height), kernel))
        np.testing.assert_array_equal(found.cpu().numpy(), expected, err_msg=f"{before} to {height} x {width}")


def test_the_bytes_of_torchvision() -> None:
    for *before, height, width in HW:
        image = _image(*before)
        found = resize_as_pytorch(image, (height, width), CUDA)
        expected = transforms.resize(torch.from_numpy(image).permute(2, 0, 1), [height, width], antialias=True)
        assert torch.equal(found.cpu().permute(2, 0, 1), expected), f"{before} to {height} x {width}"
