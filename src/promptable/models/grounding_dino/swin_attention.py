"""Swin's attention within windows by PyTorch's fused kernel, which stores no attention weights; upstream's numbers."""

from groundingdino.models.GroundingDINO.backbone.swin_transformer import WindowAttention
from torch import Tensor, nn
from torch.nn import functional


class FusedWindowAttention(nn.Module):
    """Upstream's ``WindowAttention`` with the same weights; its relative positions become a constant."""

    _bias: Tensor

    def __init__(self, attention: WindowAttention) -> None:
        super().__init__()
        self._heads: int = attention.num_heads
        self.qkv, self.proj = attention.qkv, attention.proj
        bias = attention.relative_position_bias_table.detach()[attention.relative_position_index]
        self.register_buffer("_bias", bias.permute(2, 0, 1).contiguous(), persistent=False)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Windows [B, N, C] -> [B, N, C]; ``mask`` [B, N, N] is added to the weights, for windows that wrap around."""
        joined = self.qkv(windows)
        query, key, value = joined.view(*joined.shape[:2], 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        bias = self._bias if mask is None else self._bias + mask[:, None]
        attended = functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected
