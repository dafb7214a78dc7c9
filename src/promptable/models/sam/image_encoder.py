"""SAM's image encoder as upstream's, faster: the same weights and, up to rounding, the same features."""

from types import MappingProxyType

import torch
import torch.nn.functional as F  # noqa: N812
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention, PatchEmbed, get_rel_pos
from torch import Tensor, nn

from promptable.models.runtime.packed_linear import ActivatedLinear, linear_of, pack_linears
from promptable.models.runtime.precision import InFloat32, numbers

# Weights of attention that exist at a time: on a CPU one head of global attention, on a GPU, which is then better
# used, sixteen (64 MB in float32, 512 MB in bfloat16).
_MOST_WEIGHTS = MappingProxyType({"cpu": 2**24, "cuda": 2**28})

# Fused attention wants channels in groups: 8 on a GPU, 16 where AMX multiplies.
_CHANNELS_TOGETHER = 16


def fuse_encoder(encoder: ImageEncoderViT, precision: str = "fp32") -> None:
    """Give a SAM encoder in evaluation mode, on the device where it stays, faster parts of the same meaning.

    ``precision`` is the one it will run in (``models.runtime.precision``).
    """
    device, kind = encoder.pos_embed.device, numbers(precision)
    folds = kind is not torch.float32
    encoder.patch_embed, encoder.neck = InFloat32(Patches(encoder.patch_embed)), InFloat32(encoder.neck)
    for block in encoder.blocks:
        block.attn = FoldedAttention(block.attn) if folds else RelativeAttention(block.attn)
        block.mlp.lin1, block.mlp.act = ActivatedLinear(block.mlp.lin1, "gelu"), nn.Identity()
    pack_linears(encoder, device, kind)


class Patches(nn.Module):
    """Upstream's ``PatchEmbed`` as what it is, one linear layer for all patches.

    Channels come last in memory too, and stay there: a convolution leaves them first, which slows down every norm and
    sum until the last block.
    """

    def __init__(self, embed: PatchEmbed) -> None:
        super().__init__()
        convolution = embed.proj
        self._side: int = convolution.kernel_size[0]
        self.proj = linear_of(convolution.weight.flatten(1), convolution.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H * side, W * side] -> [B, H, W, C]."""
        rows = torch.unflatten(torch.unflatten(pixels, 2, (-1, self._side)), 4, (-1, self._side))
        embedded: Tensor = self.proj(rows.permute(0, 2, 4, 1, 3, 5).flatten(3))
        return embedded


class RelativeAttention(nn.Module):
    """Upstream's ``Attention`` over a square of tokens: PyTorch's fused attention, the relative positions as its mask.

    The mask is made for a few heads at a time, so that it stays small.
    """

    _rel_h: Tensor
    _rel_w: Tensor

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.qkv, self.proj, self._heads = attention.qkv, attention.proj, attention.num_heads
        side = (len(attention.rel_pos_h) + 1) // 2
        self.register_buffer("_rel_h", get_rel_pos(side, side, attention.rel_pos_h.detach()), persistent=False)
        self.register_buffer("_rel_w", get_rel_pos(side, side, attention.rel_pos_w.detach()), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]."""
        batch, height, width, _ = tokens.shape
        query, key, value = self.qkv(tokens).view(batch, height * width, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        attended = self._attended(query, key, value, (height, width))
        projected: Tensor = self.proj(attended.transpose(1, 2).reshape(batch, height, width, -1))
        return projected

    def _attended(self, query: Tensor, key: Tensor, value: Tensor, hw: tuple[int, int]) -> Tensor:
        """What queries find in keys and values, [B, heads, H*W, c] each; a few heads at a time."""
        at_once = max(1, _MOST_WEIGHTS[query.device.type] // (len(query) * query.shape[2] ** 2))
        groups = zip(*(torch.split(each, at_once, 1) for each in (query, key, value)), strict=True)
        return torch.cat([F.scaled_dot_product_attention(q, k, v, self._bias(q, hw)) for q, k, v in groups], 1)

    def _bias(self, query: Tensor, hw: tuple[int, int]) -> Tensor:
        """What each query [B, heads, H*W, c] adds for the row and the column of each key: [B, heads, H*W, H*W]."""
        rows, columns = self._by_place(query, hw)
        return (rows[..., :, None] + columns[..., None, :]).flatten(4).flatten(2, 3)

    def _by_place(self, query: Tensor, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The same for each row and for each column: [B, heads, H, W, H] and [B, heads, H, W, W]."""
        placed = torch.unflatten(query, 2, hw)
        rows = torch.einsum("bnhwc,hkc->bnhwk", placed, self._rel_h)
        return rows, torch.einsum("bnhwc,wkc->bnhwk", placed, self._rel_w)


class FoldedAttention(RelativeAttention):
    """The same without a mask: for matrix units a mask takes longer than wider products.

    A query's channels are followed by what it adds for each row and each column, a key's by a 1 for its own row and
    its own column and 0 for the others: their product is the weight with the position in it.
    """

    _offsets: Tensor
    _place: Tensor

    def __init__(self, attention: Attention) -> None:
        super().__init__(attention)
        side, channels = len(self._rel_h), attention.rel_pos_h.shape[1]
        one = torch.eye(side, device=attention.rel_pos_h.device)
        place = torch.cat([one[:, None].expand(side, side, side), one[None].expand(side, side, side)], -1)
        unused = -(channels + 2 * side) % _CHANNELS_TOGETHER
        self.register_buffer("_place", F.pad(place.flatten(0, 1), (0, unused)), persistent=False)
        offsets = torch.cat([attention.rel_pos_h.flip(0), attention.rel_pos_w.flip(0)]).detach()
        self.register_buffer("_offsets", offsets * channels**0.5, persistent=False)  # what attention divides by

    def _attended(self, query: Tensor, key: Tensor, value: Tensor, hw: tuple[int, int]) -> Tensor:
        channels, places = query.shape[-1], self._place.to(query.dtype).expand(*key.shape[:3], -1)
        rows, columns = (each.flatten(2, 3) for each in self._for_places(query, hw))
        wide_query = torch.cat([query, rows, columns, places[..., 2 * len(self._rel_h) :]], -1)
        wide_key, wide_value = torch.cat([key, places], -1), F.pad(value, (0, places.shape[-1]))
        return F.scaled_dot_product_attention(wide_query, wide_key, wide_value, scale=channels**-0.5)[..., :channels]

    def _for_places(self, query: Tensor, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """As ``_by_place``, from one product with what keys add at each distance from a query, in rows and columns.

        A query in row r needs ``side`` of its numbers for rows, from number ``side - 1 - r`` on; behind all numbers for
        rows are those for columns. A view whose stride from row to row is one less holds these, without a copy.
        """
        side = len(self._rel_h)
        found = torch.unflatten(query @ self._offsets.T, 2, hw)
        size, (batch, head, row, column, _) = (*found.shape[:4], side), found.stride()
        rows = found.as_strided(size, (batch, head, row - 1, column, 1), side - 1)
        return rows, found.as_strided(size, (batch, head, row, column - 1, 1), 3 * side - 2)
