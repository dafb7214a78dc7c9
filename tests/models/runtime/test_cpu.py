"""Speed-ups on a CPU: the same numbers, and no fresh pages for every tensor."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from promptable.models.runtime.cpu import PackedLinear, pack_linears

ROUNDING: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}

FAULTS = """
import resource
import torch
from promptable.models.runtime.cpu import keep_freed_memory

def faults_of_ten_tensors():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults_of_ten_tensors()
keep_freed_memory()
faults_of_ten_tensors()
print(given_back, faults_of_ten_tensors())
"""


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_packed_layer_computes_the_same(bias: bool) -> None:
    torch.manual_seed(0)
    linear, features = nn.Linear(24, 40, bias), torch.randn(2, 3, 5, 24)
    for given in (features, features.transpose(0, 2)):
        torch.testing.assert_close(PackedLinear(linear)(given), linear(given), **ROUNDING)
        torch.testing.assert_close(
            PackedLinear(linear, gelu=True)(given), nn.functional.gelu(linear(given)), **ROUNDING
        )


@torch.inference_mode()
def test_every_plain_linear_layer_of_a_model_is_packed() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    features = torch.randn(1, 7, 16)
    expected = model.linear2(model.linear1(features))
    pack_linears(model)
    assert isinstance(model.linear1, PackedLinear)
    assert not isinstance(model.self_attn.out_proj, PackedLinear), "attention reads this layer's weights itself"
    torch.testing.assert_close(model.linear2(model.linear1(features)), expected, **ROUNDING)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_used_again() -> None:
    command = [sys.executable, "-c", FAULTS]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    given_back, kept = map(int, ran.stdout.split())
    assert kept < given_back / 10
