"""Claims that only a real GPU can meet; ``tests/simulated_cuda.py`` makes what it can of them everywhere else."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _real_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU: these tests need a real one")


@pytest.fixture(autouse=True)
def _whole_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """By PyTorch's default, cuDNN's convolutions round float32 to TF32, 10 bits of mantissa, for upstream as for us: a
    comparison with the CPU would show that rounding and little else.
    """
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
