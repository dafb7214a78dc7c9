"""Swin, upstream's numbers in less time.

Attention within windows is PyTorch's fused kernel, which stores no attention weights, and channels come last in memory
from the first layer on: where they come first, as a convolution leaves them, every norm and sum is slower.
"""

import torch
from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer, WindowAttention
from torch import Tensor, nn
from torch.nn import functional

from promptable.models.runtime.packed_linear import ActivatedLinear
from promptable.models.runtime.precision import InFloat32


def fuse_swin(swin: SwinTransformer) -> None:
    """Give a Swin in evaluation mode faster parts of the same meaning."""
    swin.patch_embed = ChannelsLast(InFloat32(swin.patch_embed))
    for block in (block for stage in swin.layers for block in stage.blocks):
        block.attn = FusedWindowAttention(block.attn)
        block.mlp.fc1, block.mlp.act = ActivatedLinear(block.mlp.fc1, "gelu"), nn.Identity()


class ChannelsLast(nn.Module):
    """A layer whose maps [B, C, H, W] lie in memory as [B, H, W, C]."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, pixels: Tensor) -> Tensor:
        """As the layer's own."""
        maps: Tensor = self._layer(pixels)
        return maps.contiguous(memory_format=torch.channels_last)


class FusedWindowAttention(nn.Module):
    """Upstream's ``WindowAttention`` with the same weights; its relative positions become a constant."""

    _bias: Tensor

    def __init__(self, attention: WindowAttention) -> None:
        super().__init__()
        self._heads: int = attention.num_heads
        self.qkv, self.proj = attention.qkv, attention.proj
        bias = attention.relative_position_bias_table.detach()[attention.relative_position_index]
        self.register_buffer("_bias", bias.permute(2, 0, 1)[None].contiguous(), persistent=False)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Windows [B, N, C] -> [B, N, C]; ``mask`` [B, N, N] is added to the weights, for windows that wrap around."""
        joined = self.qkv(windows)
        query, key, value = joined.view(*joined.shape[:2], 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        bias = self._bias if mask is None else self._bias + mask[:, None]
        attended = functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected
