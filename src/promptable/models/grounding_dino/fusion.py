"""Grounding DINO's cross-attention between text and picture, with the products in the cheaper order.

Upstream projects every pixel to four times its channels for queries and again for values. A caption has far fewer
tokens than the picture has pixels, so the projections can be applied to the tokens instead: with q = W x + b a logit
is q . k = x . (W' k) + b . k, and a sum of projected values is the projection of the sum. The numbers are the same but
for the order of float32 sums; upstream's limits of +-50000 on logits below the largest one never matter to a softmax.
"""

import torch
from groundingdino.models.GroundingDINO.fuse_modules import BiAttentionBlock
from torch import Tensor, nn


class TextImageFusion(nn.Module):
    """Upstream's BiAttentionBlock with the same weights, for one picture and one caption without padding.

    In the shapes, H heads of D channels, C channels of a pixel and a token, n pixels, T tokens.
    """

    _query: Tensor
    _query_bias: Tensor
    _pixel_value: Tensor
    _pixel_value_bias: Tensor
    _pixel_output: Tensor
    _pixel_output_bias: Tensor
    _gain: Tensor

    def __init__(self, block: BiAttentionBlock) -> None:
        super().__init__()
        attention = block.attn
        self._heads: int = attention.num_heads
        self._norm_pixels, self._norm_tokens = block.layer_norm_v, block.layer_norm_l
        self._key, self._token_value, self._token_output = (
            attention.l_proj,
            attention.values_l_proj,
            attention.out_l_proj,
        )
        output = attention.out_v_proj
        for name, value in {
            "_query": attention.v_proj.weight * attention.scale,
            "_query_bias": attention.v_proj.bias * attention.scale,
            "_pixel_value": attention.values_v_proj.weight,
            "_pixel_value_bias": attention.values_v_proj.bias,
            "_pixel_output": (output.weight * block.gamma_v[:, None]).T,
            "_pixel_output_bias": output.bias * block.gamma_v,
            "_gain": block.gamma_l,
        }.items():
            self.register_buffer(name, value.detach().contiguous(), persistent=False)

    def forward(self, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [n, C] and tokens [T, C], both after having looked at the other."""
        pixels, tokens = self._norm_pixels(pixels), self._norm_tokens(tokens)
        logits = self._logits(pixels, tokens)
        of_tokens = self._split(logits, 1).softmax(-1).flatten(1)
        seen_by_pixels = torch.addmm(self._pixel_output_bias, of_tokens, self._messages(tokens))
        seen_by_tokens = self._token_output(self._gathered(_over_pixels(logits) @ pixels))
        return pixels + seen_by_pixels, tokens + self._gain * seen_by_tokens

    def _logits(self, pixels: Tensor, tokens: Tensor) -> Tensor:
        """How well each pixel fits each token, in every head: [n, H * T]."""
        keys = self._split(self._key(tokens), 1)
        bias = torch.einsum("thd,hd->ht", keys, self._split(self._query_bias, 0))
        weight = torch.einsum("thd,hdc->cht", keys, self._split(self._query, 0))
        return torch.addmm(bias.flatten(), pixels, weight.flatten(1))

    def _messages(self, tokens: Tensor) -> Tensor:
        """What a pixel gets from a token that it fully attends to: [H * T, C]."""
        values = self._split(self._token_value(tokens), 1)
        return torch.einsum("thd,hdc->htc", values, self._split(self._pixel_output, 0)).flatten(0, 1)

    def _gathered(self, means: Tensor) -> Tensor:
        """Values [T, H * D] of what each token attends to, given its means over pixels [H * T, C]."""
        values = torch.einsum("htc,hdc->thd", self._split(means, 0), self._split(self._pixel_value, 0))
        return values.flatten(1) + self._pixel_value_bias

    def _split(self, joined: Tensor, axis: int) -> Tensor:
        """An axis of heads times something as two axes."""
        return torch.unflatten(joined, axis, (self._heads, -1))


def _over_pixels(logits: Tensor) -> Tensor:
    """Softmax of [n, H * T] over the pixels: [H * T, n].

    CUDA's kernel for an axis that is not the last one runs hundreds of times as long; a CPU's does not.
    """
    return logits.softmax(0).T if logits.is_cpu else logits.T.contiguous().softmax(1)
