"""Grounding DINO's transformer with upstream's weights, for one picture and one caption, neither of them padded.

The numbers are those of upstream's ``Transformer.forward`` but for the order of float32 sums. What makes it faster:
attention as in ``deformable_attention`` and ``fusion``; what no caption changes is computed once per picture, and what
no picture changes once per size; what pixels do on their own is done in groups that fit into the cache; and nothing is
computed that only training needs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from groundingdino.models.GroundingDINO.transformer import (
    DeformableTransformerDecoderLayer,
    DeformableTransformerEncoderLayer,
    Transformer,
)
from groundingdino.models.GroundingDINO.transformer_vanilla import TransformerEncoderLayer
from groundingdino.models.GroundingDINO.utils import MLP
from groundingdino.util.misc import inverse_sigmoid
from torch import Tensor, nn

from promptable.models.grounding_dino.attention import Attention
from promptable.models.grounding_dino.deformable_attention import DeformableAttention, Levels, Shapes, levels_of
from promptable.models.grounding_dino.fusion import TextImageFusion
from promptable.models.runtime.packed_linear import ActivatedLinear, linear_of
from promptable.models.runtime.precision import InFloat32

_PIXELS_AT_ONCE = 1024
"""How many pixels a CPU takes at once: 8 MB of the feed-forward layers' hidden numbers, about what its caches hold."""
_SINE_CHANNELS = 128
"""Channels of the positional encoding of each of a box's four numbers."""
_ANCHOR_SIDE = 0.05
"""Upstream's first guess of a box on the finest level, as a share of the picture; each coarser level doubles it."""


@dataclass(frozen=True)
class Layout:
    """Where the pixels of all feature levels are, finest level first, n in all; the same for all pictures of a size.

    ``positions`` [n, C], their encodings; ``pixel_levels`` and ``query_levels``, the levels as pixels and as queries
    read them; ``centres`` [n, 2, 1, L * P], where the pixels are located on them; ``anchors`` [n, 4], first boxes
    cxcywh as logits, infinite where upstream counts them as invalid, too near to the picture's edge; ``valid``
    [n, 1], 0 there, else 1. Layouts of the same levels are equal.
    """

    pixel_levels: Levels
    query_levels: Levels
    positions: Tensor = field(compare=False)
    centres: Tensor = field(compare=False)
    anchors: Tensor = field(compare=False)
    valid: Tensor = field(compare=False)


@dataclass(frozen=True)
class TextFeatures:
    """A caption's tokens: ``features`` and ``positions`` [T, C] each, ``visible`` bool [T, T]: who attends to whom."""

    features: Tensor
    positions: Tensor
    visible: Tensor


class FastTransformer(nn.Module):
    """Upstream's ``Transformer`` with its heads, on the same weights."""

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        encoder = transformer.encoder
        self._level_embed = transformer.level_embed
        attentions = encoder.layers[0].self_attn, transformer.decoder.layers[0].cross_attn
        self._heads_and_points = [(each.num_heads, each.num_points) for each in attentions]
        self._fusions = nn.ModuleList(TextImageFusion(block) for block in encoder.fusion_layers)
        self._text_layers = nn.ModuleList(TextLayer(layer) for layer in encoder.text_layers)
        self._encoder = nn.ModuleList(EncoderLayer(layer) for layer in encoder.layers)
        self._decoder = InFloat32(Decoder(transformer))

    def lay_out(self, positions: Sequence[Tensor]) -> Layout:
        """The layout of feature levels with these positional encodings, [1, C, h, w] each."""
        device = self._level_embed.device
        shapes = tuple((each.shape[-2], each.shape[-1]) for each in positions)
        levels = {each: levels_of(shapes, *each, device) for each in set(self._heads_and_points)}
        of_pixels, of_queries = (levels[each] for each in self._heads_and_points)
        placed = [one + level[:, None, None] for one, level in zip(positions, self._level_embed, strict=True)]
        middles = _middles(shapes, device)
        anchors = _anchors(middles, shapes)
        valid = anchors.isfinite().all(1, keepdim=True).float()
        return Layout(of_pixels, of_queries, as_pixels(placed), of_pixels.located(middles), anchors, valid)

    def forward(self, pixels: Tensor, layout: Layout, text: TextFeatures) -> tuple[Tensor, Tensor]:
        """Boxes cxcywh in 0..1 [Q, 4] and token logits [Q, T], from the features of all pixels [n, C]."""
        pixels, tokens = self._encode(pixels, layout, text)
        boxes, logits = self._decoder(pixels, tokens, layout)
        return boxes, logits

    def _encode(self, pixels: Tensor, layout: Layout, text: TextFeatures) -> tuple[Tensor, Tensor]:
        """Pixels [n, C] and tokens [T, C] that have attended to one another."""
        tokens = text.features
        hidden = torch.zeros_like(text.visible, dtype=torch.float32).masked_fill_(~text.visible, -torch.inf)
        for fusion, read, layer in zip(self._fusions, self._text_layers, self._encoder, strict=True):
            pixels, tokens = fusion(pixels, tokens)
            tokens = read(tokens, text.positions, hidden)
            pixels = layer(pixels, layout)
        return pixels, tokens


class TextLayer(nn.Module):
    """Tokens attend to tokens."""

    def __init__(self, layer: TransformerEncoderLayer) -> None:
        super().__init__()
        self._attention, self._norm = Attention(layer.self_attn), layer.norm1
        self._feed_forward = FeedForward(layer.linear1, layer.linear2, layer.norm2)

    def forward(self, tokens: Tensor, positions: Tensor, hidden: Tensor) -> Tensor:
        """Tokens [T, C] with ``positions`` [T, C]; ``hidden`` [T, T] is minus infinity where one does not see another,
        else 0."""
        placed = tokens + positions
        attended: Tensor = self._feed_forward(self._norm(tokens + self._attention(placed, placed, tokens, hidden)))
        return attended


class EncoderLayer(nn.Module):
    """Pixels attend to pixels."""

    def __init__(self, layer: DeformableTransformerEncoderLayer) -> None:
        super().__init__()
        self._attention = DeformableAttention(layer.self_attn)
        self._norm = layer.norm1
        self._feed_forward = FeedForward(layer.linear1, layer.linear2, layer.norm2)

    def forward(self, pixels: Tensor, layout: Layout) -> Tensor:
        """[n, C] -> [n, C]."""
        table = self._attention.table(pixels, layout.pixel_levels)
        parts = [self._attend(pixels[part], layout, part, table) for part in _parts(pixels)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _attend(self, pixels: Tensor, layout: Layout, part: slice, table: Tensor) -> Tensor:
        placed = pixels + layout.positions[part]
        seen = self._attention(placed, table, layout.pixel_levels, layout.centres[part], None)
        attended: Tensor = self._feed_forward(self._norm(pixels + seen))
        return attended


class Decoder(nn.Module):
    """Queries, chosen among the pixels, become boxes with logits.

    Float32 whatever the precision: it is a small part of the work, a box's corner shows what is rounded, and which
    pixels are chosen, and in which order, depends on small differences.
    """

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        decoder = transformer.decoder
        self._choice = QueryChoice(transformer)
        self._query_position = QueryPosition(decoder.ref_point_head)
        self._layers = nn.ModuleList(DecoderLayer(layer) for layer in decoder.layers)
        self._boxes = decoder.bbox_embed
        self._fit = decoder.class_embed[-1]
        self._norm = decoder.norm

    def forward(self, pixels: Tensor, tokens: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """Boxes cxcywh in 0..1 [Q, 4] and token logits [Q, T], from pixels [n, C] and tokens [T, C]."""
        states, boxes = self._choice(pixels, tokens, layout)
        for index, layer in enumerate(self._layers):
            if index > 0:
                boxes = _refined(self._boxes[index - 1], states, boxes)
            states = layer(states, self._query_position(boxes), tokens, pixels, boxes, layout.query_levels)
        states = self._norm(states)
        return _refined(self._boxes[-1], states, boxes), self._logits(states, tokens)

    def _logits(self, states: Tensor, tokens: Tensor) -> Tensor:
        """[Q, T], by upstream's head, which pads them."""
        present = torch.ones(1, len(tokens), dtype=torch.bool, device=tokens.device)
        padded: Tensor = self._fit(states[None], {"encoded_text": tokens[None], "text_token_mask": present})
        return padded[0, :, : len(tokens)]


class QueryPosition(nn.Module):
    """Upstream's ``gen_sineembed_for_position`` and the two layers behind it: boxes become positional encodings."""

    _frequencies: Tensor
    _phases: Tensor

    def __init__(self, head: MLP) -> None:
        super().__init__()
        first, self._second = head.layers
        channels = torch.arange(_SINE_CHANNELS, dtype=torch.float32, device=first.weight.device)
        frequencies = 2 * torch.pi / 10000 ** (2 * (channels // 2) / _SINE_CHANNELS)
        self.register_buffer("_frequencies", frequencies, persistent=False)
        self.register_buffer("_phases", channels % 2 * (torch.pi / 2), persistent=False)  # a cosine is a shifted sine
        by_side = torch.unflatten(first.weight, 1, (4, -1))[:, [1, 0, 2, 3]]  # upstream's are those of y, x, w, h
        self._first = ActivatedLinear(linear_of(by_side.flatten(1), first.bias), "relu")

    def forward(self, boxes: Tensor) -> Tensor:
        """Boxes cxcywh in 0..1 [Q, 4] -> [Q, C]."""
        waves = torch.addcmul(self._phases, boxes[:, :, None], self._frequencies).sin_()
        position: Tensor = self._second(self._first(waves.flatten(1)))
        return position


class QueryChoice(nn.Module):
    """The pixels that fit a token best become queries: all of them in a picture with fewer pixels than queries, such as
    a narrow strip, with which upstream fails."""

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        self._count: int = transformer.num_queries
        self._states = transformer.tgt_embed
        self._output, self._norm = transformer.enc_output, transformer.enc_output_norm
        self._box = transformer.enc_out_bbox_embed

    def forward(self, pixels: Tensor, tokens: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """States [Q, C] and boxes cxcywh in 0..1 [Q, 4] from pixels [n, C] and tokens [T, C]."""
        candidates = self._norm(self._output(pixels * layout.valid))
        count = min(self._count, len(pixels))
        chosen = (candidates @ tokens.T).amax(1).topk(count).indices
        states = candidates[chosen]
        boxes = (self._box(states) + layout.anchors[chosen]).sigmoid()
        return states if self._states is None else self._states.weight[:count], boxes


class DecoderLayer(nn.Module):
    """Queries attend to one another, to the text and to the picture."""

    def __init__(self, layer: DeformableTransformerDecoderLayer) -> None:
        super().__init__()
        self._self_attention, self._norm_self = Attention(layer.self_attn), layer.norm2
        self._text_attention, self._norm_text = Attention(layer.ca_text), layer.catext_norm
        self._attention, self._norm = DeformableAttention(layer.cross_attn), layer.norm1
        self._feed_forward = FeedForward(layer.linear1, layer.linear2, layer.norm3)

    def forward(
        self,
        states: Tensor,
        places: Tensor,
        tokens: Tensor,
        pixels: Tensor,
        boxes: Tensor,
        levels: Levels,
    ) -> Tensor:
        """States [Q, C] of queries with the positional encoding ``places`` [Q, C] and boxes cxcywh in 0..1 [Q, 4]."""
        placed = states + places
        states = self._norm_self(states + self._self_attention(placed, placed, states))
        states = self._norm_text(states + self._text_attention(states + places, tokens, tokens))
        table = self._attention.table(pixels, levels)
        unit = boxes[:, 2:, None, None] * levels.sizes * (0.5 / levels.points)
        seen = self._attention(states + places, table, levels, levels.located(boxes[:, :2]), unit)
        attended: Tensor = self._feed_forward(self._norm(states + seen))
        return attended


class FeedForward(nn.Module):
    """What each pixel or query does on its own."""

    def __init__(self, widen: nn.Linear, narrow: nn.Linear, norm: nn.LayerNorm) -> None:
        super().__init__()
        self._widen, self._narrow, self._norm = ActivatedLinear(widen, "relu"), narrow, norm

    def forward(self, features: Tensor) -> Tensor:
        """[..., C] -> [..., C]."""
        normed: Tensor = self._norm(features + self._narrow(self._widen(features)))
        return normed


def _refined(head: nn.Module, states: Tensor, boxes: Tensor) -> Tensor:
    """Boxes cxcywh in 0..1 [Q, 4], moved by what a head says of the queries' states [Q, C]."""
    moved: Tensor = (head(states) + inverse_sigmoid(boxes)).sigmoid()
    return moved


def _parts(pixels: Tensor) -> Iterator[slice]:
    """The pixels in groups: on a CPU as many as its caches hold, else all at once."""
    step = _PIXELS_AT_ONCE if pixels.device.type == "cpu" else len(pixels)
    return (slice(start, start + step) for start in range(0, len(pixels), step))


def as_pixels(levels: Sequence[Tensor]) -> Tensor:
    """Maps [1, C, h, w], finest first, as [n, C]."""
    return torch.cat([level[0].flatten(1).T for level in levels])


def _middles(shapes: Shapes, device: torch.device) -> Tensor:
    """The middle of each pixel, x and y as shares of the picture, float32 [n, 2]."""
    places = []
    for height, width in shapes:
        y = (torch.arange(height, device=device) + 0.5) / height
        x = (torch.arange(width, device=device) + 0.5) / width
        places.append(torch.cartesian_prod(y, x).flip(1))
    return torch.cat(places)


def _anchors(middles: Tensor, shapes: Shapes) -> Tensor:
    """As upstream's ``gen_encoder_output_proposals``: a box in the middle of each pixel, larger on coarser levels."""
    sides = torch.cat([middles.new_full((h * w, 2), _ANCHOR_SIDE * 2.0**level) for level, (h, w) in enumerate(shapes)])
    boxes = torch.cat([middles, sides], 1)
    valid = ((boxes > 0.01) & (boxes < 0.99)).all(1, keepdim=True)
    return boxes.logit().masked_fill(~valid, torch.inf)
