"""Copies between CPU and GPU: all inputs of a model in one copy, and all its outputs in one copy.

The GPU is idle while the CPU waits for a copy, so there should be few of them. Copies go through pinned memory, which
the GPU reads and writes by itself while the CPU continues; from other memory, the driver copies piece by piece, which
is much slower. Nothing waits for a copy to the device: PyTorch reuses a pinned block only after all copies from it.
"""

import logging
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_log = logging.getLogger(__name__)

_MOST_PINNED = 2**26
"""The most bytes of a pinned block: a picture of 22 megapixels. PyTorch never gives pinned memory back."""


def to_device(device: torch.device | str, arrays: Sequence[NDArray[np.generic] | Tensor]) -> list[Tensor]:
    """Copy arrays to a device in one copy; the tensors are views of one block. Tensors that are there already, as all
    are on the CPU, are returned as they are."""
    device = torch.device(device)
    tensors = [each if isinstance(each, Tensor) else torch.from_numpy(np.ascontiguousarray(each)) for each in arrays]
    away = [each for each in tensors if each.device.type != device.type]
    if not away:
        return tensors
    block = torch.cat(_parts(away), out=_block(sum(tensor.nbytes for tensor in away)))
    copies = iter(_unpacked(block.to(device, non_blocking=True), away))
    return [each if each.device.type == device.type else next(copies) for each in tensors]


def to_cpu(*tensors: Tensor) -> list[Tensor]:
    """Copy tensors from one device to the CPU in one copy. Waits until the copy is done.

    The results are views of one pinned block, which is freed only after all of them: copy a result to keep it.
    """
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return list(tensors)
    packed = torch.cat(_parts(tensors))
    block = _block(packed.nbytes).copy_(packed, non_blocking=True)
    torch.cuda.current_stream(packed.device).synchronize()
    return _unpacked(block, tensors)


def _block(nbytes: int) -> Tensor:
    """A block of CPU memory, uint8 [N]; pinned unless it is too large or the system refuses."""
    if nbytes <= _MOST_PINNED:
        try:
            return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
        except RuntimeError as error:
            _say_once(str(error))
    return torch.empty(nbytes, dtype=torch.uint8)


@cache
def _say_once(reason: str) -> None:
    _log.warning("no memory can be pinned, copies to and from the GPU are slower: %s", reason)


def _parts(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The bytes of the tensors, uint8 [n] each, in the order in which they are packed."""
    return [tensors[i].reshape(-1).view(torch.uint8) for i in _order(tensors)]


def _unpacked(packed: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    order = _order(like)
    parts = dict(zip(order, torch.split(packed, [like[i].nbytes for i in order]), strict=True))
    return [parts[i].view(tensor.dtype).view(tensor.shape) for i, tensor in enumerate(like)]


def _order(tensors: Sequence[Tensor]) -> list[int]:
    """Indices of the tensors, widest dtypes first, so that each tensor begins at a multiple of its dtype's width."""
    return sorted(range(len(tensors)), key=lambda i: -tensors[i].itemsize)
