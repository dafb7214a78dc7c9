"""Pixels as networks that were trained on ImageNet want them."""

from functools import cache

import torch
from torch import Tensor

from promptable.models.runtime.transfer import to_device

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalise_(pixels: Tensor) -> Tensor:
    """Subtract ImageNet's mean from RGB in [0, 1], float32 [..., 3, H, W], and divide by its deviation, in place.

    As upstream's SAM 2 and Grounding DINO do. On any device.
    """
    mean, std = _statistics(pixels.device)
    return pixels.sub_(mean).div_(std)


@cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation, [3, 1, 1] each; copied to a device only once."""
    mean, std = to_device(device, [torch.tensor(values)[:, None, None] for values in (_MEAN, _STD)])
    return mean, std
