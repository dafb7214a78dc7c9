"""Grounding DINO's cross-attention between text and picture, with the products in the cheaper order.

Upstream projects every pixel to four times its channels for queries and again for values. A caption has far fewer
tokens than the picture has pixels, so both projections are applied to the tokens: with q = Q x + b a logit is
q . k = x . (Q' k) + b . k, and a sum of projected values is the projection of the sum. A token then passes two
linear layers in a row, which are one layer with the product of their weights. The numbers are the same but for the
order of float32 sums; upstream's limits of +-50000 on logits below the largest one never matter to a softmax.
"""

import torch
from groundingdino.models.GroundingDINO.fuse_modules import BiAttentionBlock, BiMultiHeadAttention
from torch import Tensor, nn

from promptable.models.runtime.packed_linear import linear_of
from promptable.models.runtime.precision import as_multiplied


class TextImageFusion(nn.Module):
    """Upstream's BiAttentionBlock with the same weights, for one picture and one caption without padding.

    In the shapes, H heads, C channels of a pixel and a token, n pixels, T tokens.
    """

    def __init__(self, block: BiAttentionBlock) -> None:
        super().__init__()
        self._heads: int = block.attn.num_heads
        self._norm_pixels, self._norm_tokens = block.layer_norm_v, block.layer_norm_l
        self._key, self._key_bias = _keys(block.attn)
        self._message, self._answer = _messages(block), _answers(block)

    def forward(self, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [n, C] and tokens [T, C], both after having looked at the other.

        A softmax keeps its input's numbers: autocast would write them as float32, though its sums are float32 anyway.
        """
        pixels, tokens = self._norm_pixels(pixels), self._norm_tokens(tokens)
        seen, told = as_multiplied(pixels), as_multiplied(tokens)
        logits = torch.addmm(self._key_bias(told).T.flatten(), seen, self._by_head(self._key(told)).T)
        of_tokens = torch.unflatten(logits, 1, (self._heads, -1)).softmax(-1, dtype=logits.dtype).flatten(1)
        means = torch.unflatten(_over_pixels(logits) @ seen, 0, (self._heads, -1))
        to_pixels = of_tokens @ self._by_head(self._message(told))
        return pixels + to_pixels, tokens + self._answer(means.transpose(0, 1).flatten(1))

    def _by_head(self, of_tokens: Tensor) -> Tensor:
        """[T, H * C] -> [H * T, C]."""
        return torch.unflatten(of_tokens, 1, (self._heads, -1)).transpose(0, 1).flatten(0, 1)


def _keys(attention: BiMultiHeadAttention) -> tuple[nn.Linear, nn.Linear]:
    """Layers from a token to the factors [H * C] and constants [H] that make logits of pixels, in every head."""
    (query, query_bias), (key, key_bias) = (_of_heads(each, attention) for each in (attention.v_proj, attention.l_proj))
    query, query_bias = query * attention.scale, query_bias * attention.scale
    factors = torch.einsum("hdc,hde->hce", query, key), torch.einsum("hdc,hd->hc", query, key_bias)
    constants = torch.einsum("hd,hde->he", query_bias, key), torch.einsum("hd,hd->h", query_bias, key_bias)
    return _linear(factors[0].flatten(0, 1), factors[1].flatten()), _linear(*constants)


def _messages(block: BiAttentionBlock) -> nn.Linear:
    """A layer from a token to what a pixel gets that attends to it alone, by head: [H * C].

    Weights add up to 1 in each head, so each has its share of the output's bias.
    """
    attention = block.attn
    value, bias = _of_heads(attention.values_l_proj, attention)
    output = torch.unflatten(block.gamma_v.double()[:, None] * attention.out_v_proj.weight.double(), 1, value.shape[:2])
    share = block.gamma_v.double() * attention.out_v_proj.bias.double() / len(value)
    biases = torch.einsum("ohd,hd->ho", output, bias) + share
    return _linear(torch.einsum("ohd,hdc->hoc", output, value).flatten(0, 1), biases.flatten())


def _answers(block: BiAttentionBlock) -> nn.Linear:
    """A layer from the means of the pixels that a token attends to, by head [H * C], to what it gets [C]."""
    attention = block.attn
    value, bias = _of_heads(attention.values_v_proj, attention)
    output = torch.unflatten(block.gamma_l.double()[:, None] * attention.out_l_proj.weight.double(), 1, value.shape[:2])
    biases = torch.einsum("ohd,hd->o", output, bias) + block.gamma_l.double() * attention.out_l_proj.bias.double()
    return _linear(torch.einsum("ohd,hdc->ohc", output, value).flatten(1), biases)


def _of_heads(linear: nn.Linear, attention: BiMultiHeadAttention) -> tuple[Tensor, Tensor]:
    """A layer's weight [H, D, C] and bias [H, D], float64."""
    heads = (attention.num_heads, -1)
    return torch.unflatten(linear.weight.double(), 0, heads), torch.unflatten(linear.bias.double(), 0, heads)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    return linear_of(weight.float(), bias.float())


def _over_pixels(logits: Tensor) -> Tensor:
    """Softmax of [n, H * T] over the pixels: [H * T, n].

    CUDA's kernel for an axis that is not the last one runs hundreds of times as long; a CPU's does not.
    """
    return logits.softmax(0).T if logits.is_cpu else logits.T.contiguous().softmax(1, dtype=logits.dtype)
