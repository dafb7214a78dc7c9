"""Swin with upstream's weights and numbers, in less time, for one picture.

Pixels are rows of one table from the first layer on, so that cutting it into windows, shifted or not, and merging four
pixels into one is taking its rows in another order. Attention within windows is PyTorch's fused kernel, which stores no
attention weights.
"""

from math import ceil

import torch
from groundingdino.models.GroundingDINO.backbone import swin_transformer
from groundingdino.models.GroundingDINO.backbone.swin_transformer import (
    PatchMerging,
    SwinTransformer,
    SwinTransformerBlock,
)
from torch import Tensor, nn
from torch.nn import functional

from promptable.models.grounding_dino.windows import ALIGNMENT, Stage, Stages, Windows, stages_of
from promptable.models.runtime.packed_linear import ActivatedLinear
from promptable.models.runtime.precision import InFloat32, as_multiplied

_APART = -100.0
"""What upstream adds to the logits of two places that must not attend to one another."""


class FastSwin(nn.Module):
    """Upstream's ``SwinTransformer`` in evaluation mode, with the same weights."""

    def __init__(self, swin: SwinTransformer) -> None:
        super().__init__()
        self._patch_side, self._window_side = swin.patch_embed.patch_size, swin.layers[0].window_size
        self._patch_embed = InFloat32(swin.patch_embed)
        self._blocks = nn.ModuleList(nn.ModuleList(map(SwinBlock, layer.blocks)) for layer in swin.layers)
        self._merges = nn.ModuleList(Merge(layer.downsample) for layer in swin.layers[:-1])
        self._norms = nn.ModuleDict({str(index): swin.get_submodule(f"norm{index}") for index in swin.out_indices})

    def stages(self, height: int, width: int, device: torch.device) -> Stages:
        """What ``forward`` needs to know about the size of a picture."""
        down, across = self._patch_side
        return stages_of((ceil(height / down), ceil(width / across)), len(self._blocks), self._window_side, device)

    def forward(self, picture: Tensor, stages: Stages) -> list[Tensor]:
        """The maps [1, C, h, w] of upstream's ``out_indices``, finest first, of a picture [3, H, W]."""
        pixels = self._patch_embed(picture[None])[0].flatten(1).T.contiguous()
        maps = []
        for index, (blocks, stage) in enumerate(zip(self._blocks, stages.maps, strict=True)):
            for block in blocks.children():
                pixels = block(pixels, stage)
            if str(index) in self._norms:
                maps.append(self._norms[str(index)](pixels).view(1, *stage.hw, -1).permute(0, 3, 1, 2))
            if index < len(self._merges):
                pixels = self._merges[index](pixels, stage.merged)
        return maps


class SwinBlock(nn.Module):
    """Pixels attend to those of their window, and each goes through a feed-forward part."""

    def __init__(self, block: SwinTransformerBlock) -> None:
        super().__init__()
        self._is_shifted = block.shift_size > 0
        self._attention, self._norm = WindowAttention(block.attn), block.norm1
        self._widen, self._narrow = ActivatedLinear(block.mlp.fc1, "gelu"), block.mlp.fc2
        self._norm_wide = block.norm2

    def forward(self, pixels: Tensor, stage: Stage) -> Tensor:
        """[n, C] -> [n, C]."""
        pixels = pixels + self._attention(self._norm(pixels), stage.shifted if self._is_shifted else stage.straight)
        fed: Tensor = pixels + self._narrow(self._widen(self._norm_wide(pixels)))
        return fed


class WindowAttention(nn.Module):
    """Upstream's ``WindowAttention`` with the same weights; its relative positions become a constant."""

    _bias: Tensor

    def __init__(self, attention: swin_transformer.WindowAttention) -> None:
        super().__init__()
        self._heads, self._channels = attention.num_heads, attention.dim // attention.num_heads
        self.qkv, self.proj = attention.qkv, attention.proj
        bias = attention.relative_position_bias_table.detach()[attention.relative_position_index].permute(2, 0, 1)[None]
        self.register_buffer("_bias", functional.pad(bias, (0, -bias.shape[-1] % ALIGNMENT)), persistent=False)

    def forward(self, pixels: Tensor, windows: Windows) -> Tensor:
        """[n, C] -> [n, C]."""
        places = self._bias.shape[2]
        joined = self.qkv(_taken(as_multiplied(pixels), windows.pixels)).view(
            -1, places, 3, self._heads, self._channels
        )
        query, key, value = joined.permute(2, 0, 3, 1, 4)
        bias = self._bias.to(query.dtype)
        if windows.apart is not None:
            bias = torch.where(windows.apart, bias + _APART, bias)
        attended = functional.scaled_dot_product_attention(query, key, value, bias[..., :places])
        projected: Tensor = self.proj(attended.transpose(1, 2).reshape(-1, pixels.shape[1]))
        return projected.index_select(0, windows.places)


class Merge(nn.Module):
    """Four neighbours become one pixel of twice the channels."""

    def __init__(self, merging: PatchMerging) -> None:
        super().__init__()
        self._norm, self._reduction = merging.norm, merging.reduction

    def forward(self, pixels: Tensor, merged: Tensor) -> Tensor:
        """[n, C] -> [m, 2 * C]."""
        reduced: Tensor = self._reduction(self._norm(_taken(pixels, merged).view(-1, 4 * pixels.shape[1])))
        return reduced


def _taken(pixels: Tensor, indices: Tensor) -> Tensor:
    """The pixels [n, C] of these indices; n stands for zeros."""
    return torch.cat([pixels, pixels.new_zeros(1, pixels.shape[1])]).index_select(0, indices)
