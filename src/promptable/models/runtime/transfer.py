"""What a model is given and what it answers, in one copy each: for every one that it waits for, a GPU stands still.

Nothing waits for a copy to the device: what is copied has been put aside before the call returns, as CUDA promises of
memory that is not pinned.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_device(device: torch.device, arrays: Sequence[NDArray[np.generic] | Tensor]) -> list[Tensor]:
    """These arrays on a device, in one copy: views of one block of its memory. On the CPU nothing is copied."""
    tensors = [each if isinstance(each, Tensor) else torch.from_numpy(np.ascontiguousarray(each)) for each in arrays]
    if device.type == "cpu" or not tensors:
        return tensors
    return _unpacked(_packed(tensors).to(device, non_blocking=True), tensors)


def to_cpu(*tensors: Tensor) -> list[Tensor]:
    """These tensors of one device on the CPU, in one copy: views of one block of memory. Waits for their numbers."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return list(tensors)
    return _unpacked(_packed(tensors).cpu(), tensors)


def _packed(tensors: Sequence[Tensor]) -> Tensor:
    """Their bytes, uint8 [N]."""
    return torch.cat([tensors[i].reshape(-1).view(torch.uint8) for i in _order(tensors)])


def _unpacked(packed: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    order = _order(like)
    parts = dict(zip(order, torch.split(packed, [like[i].nbytes for i in order]), strict=True))
    return [parts[i].view(tensor.dtype).view(tensor.shape) for i, tensor in enumerate(like)]


def _order(tensors: Sequence[Tensor]) -> list[int]:
    """The widest types first, so that every tensor begins at a multiple of its type's width."""
    return sorted(range(len(tensors)), key=lambda i: -tensors[i].itemsize)
