"""The norm over channels of SAM's and SAM 2's maps in one operator, instead of eight that each pass over the map."""

from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_FEWEST = 64
"""The operator takes pixel after pixel: of fewer channels than these, the eight are as quick or quicker."""


class ChannelNorm(nn.Module):
    """The ``LayerNorm2d`` of either package. Its result lies channels last, as linear layers that follow want it."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.bias, self._eps = norm.weight, norm.bias, norm.eps

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        normed = F.layer_norm(maps.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self._eps)
        return normed.permute(0, 3, 1, 2)


def fuse_norms(model: nn.Module, kind: type[nn.Module]) -> None:
    """Replace all norms of this ``kind``, a package's ``LayerNorm2d``, of many channels by ``ChannelNorm``."""
    for name, child in model.named_children():
        if isinstance(child, kind) and child.get_parameter("weight").numel() >= _FEWEST:
            setattr(model, name, ChannelNorm(child))
        else:
            fuse_norms(child, kind)
