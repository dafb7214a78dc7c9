"""SAM's image encoder as upstream's, faster: the same weights and, up to rounding, the same features."""

from types import MappingProxyType

import torch
import torch.nn.functional as F  # noqa: N812
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.common import MLPBlock
from segment_anything.modeling.image_encoder import Attention, get_rel_pos
from torch import Tensor, nn

from promptable.models.runtime.cpu import PackedLinear, pack_linears

# Weights of attention that exist at a time: on a CPU one head of global attention, on a GPU, which is then better
# used, sixteen (64 MB in float32, 512 MB in bfloat16).
_MOST_WEIGHTS = MappingProxyType({"cpu": 2**24, "cuda": 2**28})


def fuse_encoder(encoder: ImageEncoderViT, precision: str = "fp32") -> None:
    """Give a SAM encoder in evaluation mode, on the device where it stays, faster parts of the same meaning.

    ``precision`` is the one it will run in (``device.autocast``): only float32 layers are packed.
    """
    for block in encoder.blocks:
        block.attn = RelativeAttention(block.attn)
    if encoder.pos_embed.device.type == "cpu" and precision != "bf16":
        for block in encoder.blocks:
            _fuse_gelu(block.mlp)
        pack_linears(encoder)


def _fuse_gelu(mlp: MLPBlock) -> None:
    mlp.lin1 = PackedLinear(mlp.lin1, gelu=True)
    mlp.act = nn.Identity()


class RelativeAttention(nn.Module):
    """Upstream's ``Attention`` over a square of tokens: PyTorch's fused attention, the relative positions as its mask.

    The mask is made for a few heads at a time, so that it stays small.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.qkv, self.proj, self._heads = attention.qkv, attention.proj, attention.num_heads
        side = (len(attention.rel_pos_h) + 1) // 2
        self.register_buffer("_rel_h", get_rel_pos(side, side, attention.rel_pos_h.detach()), persistent=False)
        self.register_buffer("_rel_w", get_rel_pos(side, side, attention.rel_pos_w.detach()), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]."""
        batch, height, width, _ = tokens.shape
        count = height * width
        query, key, value = self.qkv(tokens).view(batch, count, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        at_once = max(1, _MOST_WEIGHTS[tokens.device.type] // (batch * count**2))
        groups = zip(*(each.split(at_once, dim=1) for each in (query, key, value)), strict=True)
        attended = [F.scaled_dot_product_attention(q, k, v, self._bias(q, height, width)) for q, k, v in groups]
        heads = torch.cat([each.transpose(1, 2) for each in attended], 2)
        projected: Tensor = self.proj(heads.reshape(batch, height, width, -1))
        return projected

    def _bias(self, query: Tensor, height: int, width: int) -> Tensor:
        """What each query [B, heads, H*W, c] adds for the row and the column of each key: [B, heads, H*W, H*W]."""
        placed = query.reshape(*query.shape[:2], height, width, -1)
        rows = torch.einsum("bnhwc,hkc->bnhwk", placed, self._rel_h)
        columns = torch.einsum("bnhwc,wkc->bnhwk", placed, self._rel_w)
        return (rows[..., :, None] + columns[..., None, :]).reshape(*query.shape[:3], height * width)
