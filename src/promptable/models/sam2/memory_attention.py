"""SAM 2's memory attention for many objects in one frame: upstream's numbers in less time.

Nearly all of a tracker's time for an object is the attention of the frame's 4096 positions to some 28,800 remembered
ones, in each of 4 layers. What is saved:

- The values are a linear map of memories that have a quarter of its channels, and the weights add up to 1. So on a CPU
  and on Hopper the memories themselves are weighted, and mapped afterwards: the second matrix product is a quarter as
  large.
- The first layer's self-attention sees the frame alone, and is computed once for all objects.
- Copies of large tensors: of the keys for their rotary position encoding, and in the feed-forward part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import e, log2

import torch
import torch.nn.functional as F  # noqa: N812
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.sam.transformer import RoPEAttention
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from promptable.models.runtime.packed_linear import ActivatedLinear, pack_linears
from promptable.models.runtime.precision import InFloat32, as_multiplied, numbers
from promptable.models.runtime.products import product
from promptable.models.sam2.memory_bank import MemoryTokens

_HOPPER = (9, 0)

# Keys whose weights are computed at a time: few enough for the cache, enough for the matrix product to be quick.
_BLOCK = 1024


def use_frame_attention(model: SAM2Base, precision: str = "fp32") -> None:
    """Let a model in evaluation mode attend to memories as this module does, if its attention is built as SAM 2.1's.

    ``precision`` is the one it will run in (``models.runtime.precision``). Queries and keys are float32 until their
    positions are in them: bfloat16 would round the angles.
    """
    if not _is_as_official(model.memory_attention):
        return
    side = model.sam_image_embedding_size
    for layer in model.memory_attention.layers:
        for attention in (layer.self_attn, layer.cross_attn_image):  # upstream does this at the first call
            attention.freqs_cis = attention.compute_cis(end_x=side, end_y=side).to(model.device)
            attention.q_proj, attention.k_proj = InFloat32(attention.q_proj), InFloat32(attention.k_proj)
        layer.linear1 = ActivatedLinear(layer.linear1, "relu")
    model.memory_attention = FrameAttention(model.memory_attention)
    pack_linears(model.memory_attention, model.device, numbers(precision))


class ObjectByObject(nn.Module):
    """A ``MemoryAttention`` of any kind, as upstream runs it: one object after the other."""

    def __init__(self, upstream: MemoryAttention) -> None:
        super().__init__()
        self._upstream = upstream

    def forward(self, frame: Tensor, position: Tensor, objects: Sequence[MemoryTokens]) -> Tensor:
        """As ``FrameAttention``."""
        attended = [
            self._upstream(
                curr=[frame],
                curr_pos=[position],
                memory=one.values[:, None],
                memory_pos=one.positions[:, None],
                num_obj_ptr_tokens=one.pointers,
            )
            for one in objects
        ]
        return torch.cat(attended, 1).transpose(0, 1)


class FrameAttention(nn.Module):
    """Stands in for a ``MemoryAttention`` where every object sees the same frame."""

    def __init__(self, upstream: MemoryAttention) -> None:
        super().__init__()
        self._layers, self._norm = upstream.layers, upstream.norm

    def forward(self, frame: Tensor, position: Tensor, objects: Sequence[MemoryTokens]) -> Tensor:
        """The frame as each object sees it, [objects, P, C]; ``frame`` and its ``position`` are [P, 1, C]."""
        groups = _groups(objects)
        tokens = (frame + 0.1 * position).transpose(0, 1)
        for layer in self._layers:
            tokens = _attend_to_frame(layer, tokens)
            tokens = _attend_to_memory(layer, tokens, groups)
            tokens = tokens + layer.linear2(layer.linear1(layer.norm3(tokens)))
        normed: Tensor = self._norm(tokens)
        if len(groups) == 1:
            return normed
        order = [member for group in groups for member in group.members]
        return torch.stack([normed[order.index(i)] for i in range(len(order))])


@dataclass(frozen=True, eq=False)
class _Group:
    """Objects, by their numbers, that remember as much: ``keys`` and ``values`` [members, N, C], pointers last. The
    values are converted for their product once for all layers."""

    members: tuple[int, ...]
    keys: Tensor
    values: Tensor
    pointers: int


def _groups(objects: Sequence[MemoryTokens]) -> list[_Group]:
    """Objects grouped by how much they remember, on which nothing but the attention itself depends."""
    sizes = [(len(one.values), one.pointers) for one in objects]
    return [_group(objects, [i for i, other in enumerate(sizes) if other == size]) for size in dict.fromkeys(sizes)]


def _group(objects: Sequence[MemoryTokens], members: Sequence[int]) -> _Group:
    values = torch.stack([objects[i].values for i in members])
    positions = torch.stack([objects[i].positions for i in members])
    return _Group(tuple(members), values + positions, as_multiplied(values), objects[members[0]].pointers)


def _attend_to_frame(layer: MemoryAttentionLayer, tokens: Tensor) -> Tensor:
    attention, normed = layer.self_attn, layer.norm1(tokens)
    query = _rotated(attention.q_proj(normed), attention.freqs_cis)
    key = _rotated(attention.k_proj(normed), attention.freqs_cis)
    found = _found(query, key, attention.v_proj(normed))
    attended: Tensor = tokens + attention.out_proj(found)
    return attended


def _attend_to_memory(layer: MemoryAttentionLayer, tokens: Tensor, groups: Sequence[_Group]) -> Tensor:
    """``tokens`` are those of each object, in the order of the groups; in the first layer, one set for all objects."""
    attention = layer.cross_attn_image
    count = sum(len(group.members) for group in groups)
    query = _rotated(attention.q_proj(layer.norm2(tokens)), attention.freqs_cis).expand(count, -1, -1)
    queries = torch.split(query, [len(group.members) for group in groups])
    found = [_looked_up(attention, *each) for each in zip(queries, groups, strict=True)]
    attended: Tensor = tokens + attention.out_proj(torch.cat(found))
    return attended


def _looked_up(attention: RoPEAttention, query: Tensor, group: _Group) -> Tensor:
    """What the queries [members, P, C] find in the memories of their objects."""
    key = attention.k_proj(group.keys)
    _rotated(key[:, : key.shape[1] - group.pointers], attention.freqs_cis)
    if query.is_cpu and not torch.is_autocast_enabled("cpu"):
        weighted = torch.stack([_weighted(*each) for each in zip(query, key, group.values, strict=True)])
        return torch.as_tensor(attention.v_proj(weighted))
    if _takes_narrow_values(query.device):
        return torch.as_tensor(attention.v_proj(_found(query, key, group.values)))
    return _found(query, key, attention.v_proj(group.values))


def _takes_narrow_values(device: torch.device) -> bool:
    """Whether fused attention is quick where values have fewer channels than keys: cuDNN's is, which is made for these
    many channels on Hopper."""
    return torch.is_autocast_enabled("cuda") and torch.cuda.get_device_capability(device) == _HOPPER


def _found(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of one head, [objects, P, C], in the value's numbers."""
    query, key = query.to(value.dtype), key.to(value.dtype)
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0]


def _rotated(features: Tensor, rotations: Tensor) -> Tensor:
    """Rotary position encoding, in place, of float32 [objects, frames * positions, channels] by complex
    [positions, pairs].
    """
    torch.view_as_complex(features.view(len(features), -1, *rotations.shape, 2)).mul_(rotations)
    return features


def _weighted(query: Tensor, key: Tensor, values: Tensor) -> Tensor:
    """Softmax attention of one head, [P, C] to [N, C], [N, D] -> [P, D], block by block of the keys.

    The running maximum is that of "Online normalizer calculation for softmax" (Milakov, Gimelshein 2018). PyTorch's own
    kernel for CPUs wants values of as many channels as keys. Weights are powers of 2: exp(x) = 2 ** (x * log2(e)), and
    a CPU computes exp2 in half the time of exp.
    """
    query = query * (log2(e) * query.shape[1] ** -0.5)
    highest = query.new_full((len(query), 1), -torch.inf)
    total, summed = torch.zeros_like(highest), query.new_zeros(len(query), values.shape[1])
    for some_keys, some_values in zip(torch.split(key, _BLOCK), torch.split(values, _BLOCK), strict=True):
        scores = product(query, some_keys)
        before, highest = highest, torch.maximum(highest, scores.amax(1, keepdim=True))
        weights, shrinkage = scores.sub_(highest).exp2_(), (before - highest).exp2_()
        total.mul_(shrinkage).add_(weights.sum(1, keepdim=True))
        summed.mul_(shrinkage).add_(product(weights, some_values.T))
    return summed / total


def _is_as_official(attention: MemoryAttention) -> bool:
    return attention.pos_enc_at_input and attention.batch_first and all(map(_is_official_layer, attention.layers))


def _is_official_layer(layer: MemoryAttentionLayer) -> bool:
    one_headed = all(
        isinstance(attention, RoPEAttention) and attention.num_heads == 1
        for attention in (layer.self_attn, layer.cross_attn_image)
    )
    positions = (layer.pos_enc_at_attn, layer.pos_enc_at_cross_attn_queries, layer.pos_enc_at_cross_attn_keys)
    same_positions = layer.cross_attn_image.rope_k_repeat and positions == (False, False, True)
    return one_headed and same_positions and layer.activation_str == "relu"
