"""SAM 2's memory attention for many objects in one frame: upstream's numbers in less time.

Nearly all of a tracker's time for an object is the attention of the frame's 4096 positions to some 28,800 remembered
ones, in each of 4 layers. What is saved:

- The values are a linear map of memories that have a quarter of its channels, and the weights add up to 1. So on a CPU
  the memories themselves are weighted, and mapped afterwards: the second matrix product is a quarter as large.
- The first layer's self-attention sees the frame alone: once for all objects.
- Copies of large tensors: of the keys for their rotary position encoding, and in the feed-forward part.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.sam.transformer import RoPEAttention
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

# Keys whose weights are computed at a time: few enough for the cache, enough for the matrix product to be quick.
_BLOCK = 1024


def speed_up(model: SAM2Base) -> None:
    """Let a model in evaluation mode attend to memories as this module does, if its attention is built as SAM 2.1's."""
    if not _is_as_official(model.memory_attention):
        return
    side = model.sam_image_embedding_size
    for layer in model.memory_attention.layers:
        for attention in (layer.self_attn, layer.cross_attn_image):  # upstream does this at the first call
            attention.freqs_cis = attention.compute_cis(end_x=side, end_y=side).to(model.device)
    model.memory_attention = FrameAttention(model.memory_attention)


class FrameAttention(nn.Module):
    """Stands in for a ``MemoryAttention`` where every object of the batch sees the same frame."""

    def __init__(self, upstream: MemoryAttention) -> None:
        super().__init__()
        self._layers, self._norm = upstream.layers, upstream.norm

    def forward(
        self, curr: list[Tensor], curr_pos: list[Tensor], memory: Tensor, memory_pos: Tensor, num_obj_ptr_tokens: int
    ) -> Tensor:
        """Upstream's arguments and result, [positions, objects, channels]; ``curr`` is equal for all objects."""
        tokens = (curr[0][:, :1] + 0.1 * curr_pos[0][:, :1]).transpose(0, 1)
        values = memory.transpose(0, 1)
        keys = values + memory_pos.transpose(0, 1)
        for layer in self._layers:
            tokens = _attend_to_frame(layer, tokens)
            tokens = _attend_to_memory(layer, tokens, keys, values, num_obj_ptr_tokens)
            tokens = tokens + layer.linear2(layer.linear1(layer.norm3(tokens)).relu_())
        normed: Tensor = self._norm(tokens)
        return normed.transpose(0, 1)


def _attend_to_frame(layer: MemoryAttentionLayer, tokens: Tensor) -> Tensor:
    attention, normed = layer.self_attn, layer.norm1(tokens)
    query = _rotated(attention.q_proj(normed), attention.freqs_cis)
    key = _rotated(attention.k_proj(normed), attention.freqs_cis)
    found = F.scaled_dot_product_attention(query[:, None], key[:, None], attention.v_proj(normed)[:, None])
    attended: Tensor = tokens + attention.out_proj(found[:, 0])
    return attended


def _attend_to_memory(
    layer: MemoryAttentionLayer, tokens: Tensor, keys: Tensor, values: Tensor, pointer_tokens: int
) -> Tensor:
    """``tokens`` of each object, or in the first layer of all; pointers are the last keys and have no position."""
    attention = layer.cross_attn_image
    query = _rotated(attention.q_proj(layer.norm2(tokens)), attention.freqs_cis).expand(len(keys), -1, -1)
    key = attention.k_proj(keys)
    _rotated(key[:, : key.shape[1] - pointer_tokens], attention.freqs_cis)
    if query.is_cpu and query.dtype == torch.float32:
        weighted = torch.stack([_weighted(*each) for each in zip(query, key, values, strict=True)])
        found = attention.v_proj(weighted)
    else:
        found = F.scaled_dot_product_attention(query[:, None], key[:, None], attention.v_proj(values)[:, None])[:, 0]
    attended: Tensor = tokens + attention.out_proj(found)
    return attended


def _rotated(features: Tensor, rotations: Tensor) -> Tensor:
    """Rotary position encoding, in place, of [objects, frames * positions, channels] by complex [positions, pairs]."""
    exact = features.float()  # bfloat16 would round the angles; float32 stays the same tensor
    torch.view_as_complex(exact.view(len(features), -1, *rotations.shape, 2)).mul_(rotations)
    return features if exact is features else features.copy_(exact)


def _weighted(query: Tensor, key: Tensor, values: Tensor) -> Tensor:
    """Softmax attention of one head, [P, C] to [N, C], [N, D] -> [P, D], block by block of the keys.

    The running maximum is that of "Online normalizer calculation for softmax" (Milakov, Gimelshein 2018). PyTorch's own
    kernel for CPUs wants values of as many channels as keys.
    """
    query = query * query.shape[1] ** -0.5
    highest = query.new_full((len(query), 1), -torch.inf)
    total, summed = torch.zeros_like(highest), query.new_zeros(len(query), values.shape[1])
    for some_keys, some_values in zip(torch.split(key, _BLOCK), torch.split(values, _BLOCK), strict=True):
        scores = query @ some_keys.T
        before, highest = highest, torch.maximum(highest, scores.amax(1, keepdim=True))
        weights, shrinkage = scores.sub_(highest).exp_(), (before - highest).exp_()
        total.mul_(shrinkage).add_(weights.sum(1, keepdim=True))
        summed.mul_(shrinkage).addmm_(weights, some_values)
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
