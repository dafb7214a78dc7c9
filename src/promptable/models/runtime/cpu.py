"""What makes models faster on a CPU and leaves upstream's numbers as they are, but for the order of float32 sums."""

import ctypes
import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from promptable.models.runtime.threads import choose_threads

# mallopt(3), and the numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_NEVER = 2**31 - 1
_LARGE_BYTES = 2**30


def prepare(weights: Sequence[Path]) -> None:
    """Set up this process for models on the CPU whose checkpoints are these files."""
    keep_freed_memory()
    choose_threads(weights)


def keep_freed_memory() -> None:
    """Let malloc keep what this process has freed, for its next tensors, instead of giving it back to the system.

    Otherwise every tensor of more than 32 MB is made of fresh pages, and the kernel zeroes them one by one. Tensors of
    1 GiB and more still go back. One arena, because those of other threads cannot grow beyond 64 MB. Without glibc
    nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in ((_M_MMAP_THRESHOLD, _LARGE_BYTES), (_M_TRIM_THRESHOLD, _NEVER), (_M_ARENA_MAX, 1)):
        libc.mallopt(option, value)


class PackedLinear(nn.Module):
    """A float32 linear layer for inference, its weights in the blocks that oneDNN computes with.

    ``gelu`` computes the exact GELU in the same pass. The operators are those of torch.compile's CPU backend.
    """

    def __init__(self, linear: nn.Linear, gelu: bool = False) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._bias = None if linear.bias is None else linear.bias.detach()
        self._activation: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def forward(self, features: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        packed: Tensor = torch.ops.mkldnn._linear_pointwise(features, self._weight, self._bias, *self._activation)
        return packed


def pack_linears(model: nn.Module) -> None:
    """Make every ``nn.Linear`` of a model in evaluation mode on the CPU a ``PackedLinear``; without oneDNN, none."""
    if not torch._C._has_mkldnn:
        return
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))
