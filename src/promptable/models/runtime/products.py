"""Matrix products on a CPU by the library that is quicker there: PyTorch's MKL, or the oneDNN beside it."""

from functools import cache

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right.T`` of float32 matrices [M, K] and [N, K] on a CPU, outside autocast: [M, N]."""
    if _mkl_lags():
        multiplied: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
        return multiplied
    return left @ right.T


@cache
def _mkl_lags() -> bool:
    """Whether this is AMD's CPU, on which MKL multiplies at some 70% of oneDNN's rate (Zen 2)."""
    has_both = torch._C.has_mkl and torch._C._has_mkldnn
    return has_both and "AMD" in str(torch.cpu.get_capabilities().get("cpu_name", ""))
