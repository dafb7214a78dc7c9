"""Pictures at the size, and as the numbers, in which Grounding DINO wants them."""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from promptable.models.pixels.normalise import normalise_
from promptable.models.pixels.picture import Picture
from promptable.models.pixels.resize import resize_as_pytorch

_MIN_SIDE = 64
_CPU = torch.device("cpu")


def preprocess(image: Picture, short_side: int, long_side: int, device: torch.device = _CPU) -> Tensor:
    """Resize and normalise as upstream's ``load_image`` does: RGB uint8 [H, W, 3] to float32 [3, h, w] on a device."""
    return normalise_(resized(image, short_side, long_side, device).float().div_(255))


def resized(image: Picture, short_side: int, long_side: int, device: torch.device = _CPU) -> Tensor:
    """RGB uint8 [H, W, 3] to uint8 [3, h, w] on a device, by torchvision: quicker than upstream's Pillow, with coarser
    weights, so that some bytes are one more or less. The bytes are the same on every CPU and GPU.
    """
    hw = _resized_hw(image.shape[0], image.shape[1], short_side, long_side)
    if device.type != "cpu" or not _pytorch_resizes_bytes():
        return resize_as_pytorch(image, hw, device).permute(2, 0, 1)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    smaller: Tensor = transforms.resize(pixels, list(hw), antialias=True)
    return smaller


def _pytorch_resizes_bytes() -> bool:
    """Whether PyTorch computes in whole numbers here. Without AVX2 it has floats instead, and other bytes."""
    return torch.backends.cpu.get_cpu_capability() != "DEFAULT"


def _resized_hw(height: int, width: int, short_side: int, long_side: int) -> tuple[int, int]:
    """As groundingdino.datasets.transforms.resize: ``short_side``, or less where the other would pass ``long_side``.

    But no side is below 64 pixels, since upstream rounds the shorter side of a narrow strip to nothing.
    """
    short, long = min(height, width), max(height, width)
    if long / short * short_side > long_side:
        short_side = round(long_side * short / long)
    other = int(short_side * long / short) or long_side
    sides = max(short_side, _MIN_SIDE), max(other, _MIN_SIDE)
    return sides if height < width else (sides[1], sides[0])
