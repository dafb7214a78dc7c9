from collections.abc import Iterator

import pytest
import torch

from promptable.models.runtime import products
from promptable.models.runtime.products import product


@pytest.fixture(params=["AMD EPYC", "Intel(R) Xeon(R)"])
def lags(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether MKL is the slower library on a CPU of this name."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": request.param})
    products._mkl_lags.cache_clear()
    yield "AMD" in request.param and torch._C.has_mkl
    products._mkl_lags.cache_clear()


@torch.inference_mode()
def test_products_are_the_same_by_either_library(lags: bool) -> None:
    assert products._mkl_lags() is lags
    torch.manual_seed(0)
    left, right = torch.randn(40, 24), torch.randn(30, 24)
    for other in (right, right.T.contiguous().T):
        torch.testing.assert_close(product(left, other), left @ right.T, atol=1e-5, rtol=1e-5)
