"""NaN and Infinity: where a model answers them, its weights are damaged, or the device is."""

import torch
from torch import Tensor


def all_finite(*tensors: Tensor) -> Tensor:
    """Whether there is no NaN and no Infinity in any of them, bool [] on their device."""
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()


def require(finite: Tensor) -> None:
    """Raise FloatingPointError unless ``all_finite`` said so of what a model answered; waits for it."""
    if not finite:
        raise FloatingPointError("the model answered NaN or Infinity: its weights are damaged, or the device is")
