"""What a model is given and what it answers, in one copy each: for every one that it waits for, a GPU stands still.

Copies go through pinned memory, which a GPU reads and writes itself: the CPU goes on meanwhile, and other memory, which
the driver copies piece by piece, is a good deal slower. Nothing waits for a copy to the device: PyTorch gives a pinned
block to nobody else before the copies from it are done.
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
"""Bytes of a block: a picture of 22 megapixels. PyTorch never gives pinned memory back to the system."""


def to_device(device: torch.device, arrays: Sequence[NDArray[np.generic] | Tensor]) -> list[Tensor]:
    """These arrays on a device, in one copy: views of one block of its memory. On the CPU nothing is copied."""
    tensors = [each if isinstance(each, Tensor) else torch.from_numpy(np.ascontiguousarray(each)) for each in arrays]
    if device.type == "cpu" or not tensors:
        return tensors
    block = torch.cat(_parts(tensors), out=_block(sum(tensor.nbytes for tensor in tensors)))
    return _unpacked(block.to(device, non_blocking=True), tensors)


def to_cpu(*tensors: Tensor) -> list[Tensor]:
    """These tensors of one device on the CPU, in one copy. Waits for their numbers.

    They are views of one pinned block, which lasts as long as any of them: what is kept should be a copy.
    """
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return list(tensors)
    packed = torch.cat(_parts(tensors))
    block = _block(packed.nbytes).copy_(packed, non_blocking=True)
    torch.cuda.current_stream(packed.device).synchronize()
    return _unpacked(block, tensors)


def _block(nbytes: int) -> Tensor:
    """Memory of the CPU, uint8 [N], pinned unless there is too much of it or the system does not let us."""
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
    """Their bytes, uint8 [n] each, in the order in which they are packed."""
    return [tensors[i].reshape(-1).view(torch.uint8) for i in _order(tensors)]


def _unpacked(packed: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    order = _order(like)
    parts = dict(zip(order, torch.split(packed, [like[i].nbytes for i in order]), strict=True))
    return [parts[i].view(tensor.dtype).view(tensor.shape) for i, tensor in enumerate(like)]


def _order(tensors: Sequence[Tensor]) -> list[int]:
    """The widest types first, so that every tensor begins at a multiple of its type's width."""
    return sorted(range(len(tensors)), key=lambda i: -tensors[i].itemsize)
