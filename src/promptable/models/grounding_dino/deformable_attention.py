"""Multi-scale deformable attention (Deformable DETR, arXiv:2010.04159) as a weighted sum of rows of one table.

Each query adds up values that it reads between the pixels of several feature maps. Bilinear reading at a point is a
weighted sum of four pixels, so all that a head reads is one weighted sum of rows: exactly what ``embedding_bag``
computes, in one pass and without a copy of what was read. Upstream's version for the CPU calls ``grid_sample`` for
each map and stores every value that it reads; the numbers are the same but for the order of float32 sums.
"""

from dataclasses import dataclass, field

import torch
from groundingdino.models.GroundingDINO.ms_deform_attn import MultiScaleDeformableAttention
from torch import Tensor, nn
from torch.nn import functional

from promptable.models.runtime.transfer import to_device

Shapes = tuple[tuple[int, int], ...]
"""Height and width of each feature map."""

_BORDER = 3
"""A map gets one row and column of zeros before it and two behind, as what lies outside of it counts as zero."""


@dataclass(frozen=True)
class Levels:
    """The ``shapes`` of feature maps, and their ``sizes`` on the model's device, width and height of each, float32
    [L, 2]. Levels of the same shapes are equal."""

    shapes: Shapes
    sizes: Tensor = field(compare=False)


@dataclass(frozen=True)
class ValueMaps:
    """Feature maps of one picture as a table [rows * heads, channels of a head], with a border of zeros around each.

    Tensors of a number for each place that a head reads, float32 [L * P], those of one map after those of another:
    ``first_row`` of its map, ``stride`` (rows from one line of the map to the next), ``width`` and ``height`` without
    the border.
    """

    table: Tensor
    first_row: Tensor
    stride: Tensor
    width: Tensor
    height: Tensor


class DeformableAttention(nn.Module):
    """Upstream's module with the same weights, for one picture at a time."""

    def __init__(self, attention: MultiScaleDeformableAttention) -> None:
        super().__init__()
        self.heads: int = attention.num_heads
        self.levels: int = attention.num_levels
        self.points: int = attention.num_points
        self.value_proj = attention.value_proj
        self.output_proj = attention.output_proj
        self.where_and_how_much = _joined(attention.sampling_offsets, attention.attention_weights)

    def value_maps(self, values: Tensor, levels: Levels) -> ValueMaps:
        """The maps that queries read: the pixels [n, C] of all levels, one after the other."""
        pixels = self.value_proj(values)
        maps = [
            functional.pad(one.unflatten(0, shape), (0, 0, 1, 2, 1, 2)).flatten(0, 1)
            for one, shape in zip(pixels.split([h * w for h, w in levels.shapes]), levels.shapes, strict=True)
        ]
        width, height = levels.sizes.unbind(1)
        rows = (height + _BORDER) * (width + _BORDER)
        table = torch.cat(maps).reshape(-1, pixels.shape[-1] // self.heads)
        of_levels = (rows.cumsum(0) - rows, width + _BORDER, width, height)
        return ValueMaps(table, *(_to_places(numbers, self.points) for numbers in of_levels))

    def forward(self, query: Tensor, maps: ValueMaps, centre: Tensor, unit: Tensor | None) -> Tensor:
        """Attend from queries [q, C] to the maps; returns [q, C].

        ``centre`` [q, L, 2] is where each query stands on each map, x and y in its pixels, 0 in the middle of the
        first one; ``unit`` [q, L, 2] is how many pixels an offset of one means, None for one pixel.
        """
        x, y, share = self.where_and_how_much(query).float().view(len(query), 3, self.heads, -1).unbind(1)
        outside = maps.width.new_full((), -1.0)
        column = self._pixel(x, centre, unit, 0).clamp(outside, maps.width).add_(1)
        row = self._pixel(y, centre, unit, 1).clamp(outside, maps.height).add_(1)
        rows, weights = self._corners(column, row, share.softmax(-1), maps)
        bags = len(query) * self.heads
        read = functional.embedding_bag(
            rows.view(bags, -1), maps.table, per_sample_weights=weights.view(bags, -1).to(maps.table.dtype), mode="sum"
        )
        attended: Tensor = self.output_proj(read.view(len(query), -1))
        return attended

    def _pixel(self, offset: Tensor, centre: Tensor, unit: Tensor | None, axis: int) -> Tensor:
        """Places on the maps, [q, H, L * P], from offsets shaped alike."""
        start = _to_places(centre[:, None, :, axis], self.points)
        if unit is None:
            return start + offset
        return torch.addcmul(start, offset, _to_places(unit[:, None, :, axis], self.points))

    def _corners(self, column: Tensor, row: Tensor, share: Tensor, maps: ValueMaps) -> tuple[Tensor, Tensor]:
        """Rows of the table, int32, and weights, float32, of the pixels around each place: [q, H, 4 * L * P].

        One corner of all places after the other: whole rows of numbers are added up many times as fast as single ones.
        """
        left, top = column.floor(), row.floor()
        right_share, bottom_share = column.sub_(left), row.sub_(top)
        heads = torch.arange(self.heads, device=share.device)[:, None]
        first = left.addcmul_(top, maps.stride).add_(maps.first_row).mul_(self.heads).add_(heads).int()
        first.clamp_(min=0)  # what NaN becomes, on some machines, is no row
        below = first + (maps.stride * self.heads).int()
        lower = share * bottom_share
        upper = share - lower
        upper_right, lower_right = upper * right_share, lower * right_share
        weights = torch.cat([upper.sub_(upper_right), upper_right, lower.sub_(lower_right), lower_right], -1)
        return torch.cat([first, first + self.heads, below, below + self.heads], -1), weights


def levels_of(shapes: Shapes, device: torch.device) -> Levels:
    """Levels of these heights and widths; their sizes are copied to the device."""
    (sizes,) = to_device(device, [torch.tensor([(width, height) for height, width in shapes], dtype=torch.float32)])
    return Levels(shapes, sizes)


def _to_places(of_levels: Tensor, points: int) -> Tensor:
    """Numbers of each level [..., L] for each of its places [..., L * P]."""
    return of_levels[..., None].expand(*of_levels.shape, points).flatten(-2)


def _joined(offsets: nn.Linear, shares: nn.Linear) -> nn.Linear:
    """One linear layer whose outputs are all x offsets, all y offsets, all shares."""
    joined = nn.Linear(offsets.in_features, offsets.out_features + shares.out_features)
    with torch.no_grad():
        joined.weight.copy_(torch.cat([offsets.weight[0::2], offsets.weight[1::2], shares.weight]))
        joined.bias.copy_(torch.cat([offsets.bias[0::2], offsets.bias[1::2], shares.bias]))
    return joined.to(offsets.weight)
