"""Attention of one sequence to another, as ``nn.MultiheadAttention`` computes it, without its copies and averages."""

from torch import Tensor, nn
from torch.nn import functional

from promptable.models.runtime.packed_linear import linear_of


class Attention(nn.Module):
    """An ``nn.MultiheadAttention`` in evaluation mode, with the same weights, for sequences without padding."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self._heads: int = attention.num_heads
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        self._query, self._key, self._value = map(linear_of, weights, biases)
        self._output = linear_of(attention.out_proj.weight, attention.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """[q, C] from queries [q, C], keys and values [k, C]; ``mask`` float [q, k] is added to the logits."""
        passed = self._query(query), self._key(key), self._value(value)
        queries, keys, values = (each.unflatten(1, (self._heads, -1)).transpose(0, 1)[None] for each in passed)
        added = None if mask is None else mask.to(queries.dtype)
        found = functional.scaled_dot_product_attention(queries, keys, values, added)
        attended: Tensor = self._output(found[0].transpose(0, 1).flatten(1))
        return attended
