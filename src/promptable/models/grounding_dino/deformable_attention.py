"""Multi-scale deformable attention (Deformable DETR, arXiv:2010.04159) as a weighted sum of rows of one table.

Each query adds up values that it reads between the pixels of several feature maps. Bilinear reading at a point is a
weighted sum of four pixels, so all that a head reads is one weighted sum of rows: exactly what ``embedding_bag``
computes, in one pass and without a copy of what was read. Upstream's version for the CPU calls ``grid_sample`` for
each map and stores every value that it reads; the numbers are the same but for the order of float32 sums.
"""

from dataclasses import dataclass, field
from itertools import product

import torch
from groundingdino.models.GroundingDINO.ms_deform_attn import MultiScaleDeformableAttention
from torch import Tensor, nn
from torch.nn import functional

from promptable.models.runtime.packed_linear import linear_of
from promptable.models.runtime.transfer import to_device

Shapes = tuple[tuple[int, int], ...]
"""Height and width of each feature map."""

_BORDER = 3
"""A map gets one row and column of zeros before it and two behind, as what lies outside of it counts as zero."""


@dataclass(frozen=True)
class Levels:
    """Feature maps of these ``shapes`` in one table, and the places that a query reads there.

    In the table each map has a border of zeros around it, and each pixel a row for every head. Each of the H heads
    reads P places of each of the L maps, those of one map after those of another. What is constant of all this lies on
    the model's device: ``pixel_indices`` int64 [n], where the maps' pixels are among those with borders; ``sizes``
    float32 [2, 1, L * P], width and height of the map that a place is on, and ``edges``, the least and the greatest x
    and y there, shaped alike; ``first_rows`` float32 [H, L * P], where that map begins; ``strides`` float32 [L * P],
    how many rows further its next line does; ``corners`` int32 [4, L * P], how many rows it is from a pixel to itself,
    the one right of it, below it, and right of that.

    Levels of the same shapes, read by as many heads at as many points, are equal.
    """

    shapes: Shapes
    heads: int
    points: int
    pixel_indices: Tensor = field(compare=False)
    sizes: Tensor = field(compare=False)
    edges: tuple[Tensor, Tensor] = field(compare=False)
    first_rows: Tensor = field(compare=False)
    strides: Tensor = field(compare=False)
    corners: Tensor = field(compare=False)

    @property
    def pixels(self) -> int:
        """The number of pixels, borders included."""
        return sum((height + _BORDER) * (width + _BORDER) for height, width in self.shapes)

    def located(self, points: Tensor) -> Tensor:
        """Points [q, 2], x and y as shares of the picture, in pixels of the map of each place: [q, 2, 1, L * P].

        The border's pixels count: the middle of a map's first one is at 1.
        """
        return points[:, :, None, None] * self.sizes + 0.5


class DeformableAttention(nn.Module):
    """Upstream's module with the same weights, for one picture at a time."""

    def __init__(self, attention: MultiScaleDeformableAttention) -> None:
        super().__init__()
        self.heads: int = attention.num_heads
        self.value_proj = attention.value_proj
        self.output_proj = attention.output_proj
        self.where_and_how_much = _joined(attention.sampling_offsets, attention.attention_weights)

    def table(self, values: Tensor, levels: Levels) -> Tensor:
        """What queries read [rows, channels of a head], from the pixels [n, C] of all levels, one after the other."""
        pixels: Tensor = self.value_proj(values)
        bordered = pixels.new_zeros(levels.pixels, pixels.shape[1]).index_copy_(0, levels.pixel_indices, pixels)
        return bordered.view(-1, pixels.shape[1] // self.heads)

    def forward(self, query: Tensor, table: Tensor, levels: Levels, centre: Tensor, unit: Tensor | None) -> Tensor:
        """Attend from queries [q, C] to the table; returns [q, C].

        ``centre`` [q, 2, 1, L * P] is where each query is ``located``; ``unit``, shaped alike, is how many pixels an
        offset of one means, None for one pixel.
        """
        joined = self.where_and_how_much(query).view(len(query), 3, self.heads, -1)
        offsets, shares = joined[:, :2], joined[:, 2].softmax(-1, dtype=torch.float32)
        places = centre + offsets if unit is None else torch.addcmul(centre, offsets, unit)
        rows, weights = self._corners(places.clamp_(*levels.edges), shares, levels, table.dtype)
        bags = len(query) * self.heads
        read = functional.embedding_bag(
            rows.view(bags, -1), table, per_sample_weights=weights.view(bags, -1), mode="sum"
        )
        attended: Tensor = self.output_proj(read.view(len(query), -1))
        return attended

    def _corners(self, places: Tensor, shares: Tensor, levels: Levels, numbers: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rows of the table, int32, and weights of the four pixels around each place: [q, H, 4, L * P]."""
        first = places.floor()
        (left, top), (right, below) = first.unbind(1), places.sub_(first).unbind(1)
        row = torch.addcmul(levels.first_rows, top, levels.strides).add_(left, alpha=self.heads).int()
        row.clamp_(min=0)  # what NaN becomes, on some machines, is no row
        lower = shares * below
        weights = shares.new_empty(len(shares), self.heads, 4, shares.shape[-1], dtype=numbers)
        for corner, parts in zip(weights.unbind(2), product((shares - lower, lower), (1 - right, right)), strict=True):
            torch.mul(*parts, out=corner)
        return row[:, :, None] + levels.corners, weights


def levels_of(shapes: Shapes, heads: int, points: int, device: torch.device) -> Levels:
    """The levels of these ``shapes``, each read by ``heads`` heads at ``points`` points."""
    height, width = torch.tensor(shapes).T
    stride = width + _BORDER
    start = (stride * (height + _BORDER)).cumsum(0) - stride * (height + _BORDER)
    indices = [
        (first + torch.cartesian_prod(torch.arange(1, h + 1) * step, torch.arange(1, w + 1)).sum(1))
        for (h, w), first, step in zip(shapes, start, stride, strict=True)
    ]
    sizes = torch.stack([width, height])[:, None].float()
    row = torch.arange(heads)[:, None] + start * heads
    below = stride * heads
    corners = torch.stack([torch.zeros_like(below), torch.full_like(below, heads), below, below + heads])
    of_levels = sizes, torch.zeros_like(sizes), sizes + 1, row.float(), below.float(), corners.int()
    of_places = [each.repeat_interleave(points, -1) for each in of_levels]
    pixel_indices, sizes, least, greatest, *rows = to_device(device, [torch.cat(indices), *of_places])
    return Levels(shapes, heads, points, pixel_indices, sizes, (least, greatest), *rows)


def _joined(offsets: nn.Linear, shares: nn.Linear) -> nn.Linear:
    """One linear layer whose outputs are all x offsets, all y offsets, all shares."""
    weight, bias = (
        torch.cat([getattr(offsets, name)[0::2], getattr(offsets, name)[1::2], getattr(shares, name)])
        for name in ("weight", "bias")
    )
    return linear_of(weight, bias)
