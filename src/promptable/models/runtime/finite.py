"""NaN and Infinity: where a model answers them, its weights are damaged, or the device is."""

import torch
from torch import Tensor


def all_finite(*tensors: Tensor) -> Tensor:
    """Whether there is no NaN and no Infinity in any of them, bool [] on their device."""
    return torch.stack([tensor.isfinite().all() for tensor in tensors]).all()
