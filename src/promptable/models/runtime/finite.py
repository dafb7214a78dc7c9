"""Checks for NaN and Infinity: a model whose output contains them has damaged weights or runs on a faulty device."""

import torch
from torch import Tensor


def all_finite(*tensors: Tensor) -> Tensor:
    """Whether none of the tensors contains NaN or Infinity, bool [] on their device."""
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()


def require(finite: Tensor) -> None:
    """Raise FloatingPointError unless ``finite``, the result of ``all_finite``, is true. Waits for the device."""
    if not finite:
        raise FloatingPointError("the model answered NaN or Infinity: its weights are damaged, or the device is")
