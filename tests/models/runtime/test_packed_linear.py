"""Packed layers compute what plain ones do."""

import pytest
import torch
from torch import nn

from promptable.models.runtime.packed_linear import ActivatedLinear, Activation, PackedLinear, can_pack, pack_linears
from promptable.models.runtime.precision import InFloat32
from tests.simulated_cuda import simulated_cuda

CPU = torch.device("cpu")
NUMBERS = [
    number for number in (torch.float32, torch.bfloat16) if can_pack(CPU, number)
]  # bfloat16 takes AVX-512 at least
ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 2**-7}
"""Of float32 sums in another order; of the inputs, weights and results that bfloat16 rounds to 8 bits."""


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_packed_layer_computes_the_same(bias: bool, numbers: torch.dtype) -> None:
    torch.manual_seed(0)
    linear, features = nn.Linear(24, 40, bias), torch.randn(2, 3, 5, 24)
    for given in (features, features.transpose(0, 2), features.bfloat16()):
        expected = linear(given.float())
        wanted: dict[Activation, torch.Tensor] = {
            "none": expected,
            "gelu": nn.functional.gelu(expected),
            "relu": expected.relu(),
        }
        for activation in wanted:
            found = PackedLinear(linear, numbers, activation)(given)
            assert found.dtype is numbers
            torch.testing.assert_close(
                found.float(), wanted[activation], atol=ROUNDING[numbers], rtol=ROUNDING[numbers]
            )


@torch.inference_mode()
def test_every_plain_linear_layer_of_a_model_is_packed() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    features = torch.randn(1, 7, 16)
    expected = model.linear2(model.linear1(features))
    pack_linears(model, CPU, torch.float32)
    assert isinstance(model.linear1, PackedLinear)
    assert not isinstance(model.self_attn.out_proj, PackedLinear), "attention reads this layer's weights itself"
    torch.testing.assert_close(model.linear2(model.linear1(features)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@torch.inference_mode()
def test_a_layer_and_its_activation_become_one(activation: Activation) -> None:
    torch.manual_seed(0)
    model, features = nn.Sequential(ActivatedLinear(nn.Linear(8, 16), activation)), torch.randn(5, 8)
    expected = model(features)
    pack_linears(model, CPU, torch.float32)
    assert [type(layer) for layer in model] == [PackedLinear]
    torch.testing.assert_close(model(features), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("numbers", NUMBERS)
@torch.inference_mode()
def test_what_is_in_float32_stays_so(numbers: torch.dtype) -> None:
    torch.manual_seed(0)
    model, features = nn.Sequential(InFloat32(nn.Sequential(nn.Linear(8, 16)))), torch.randn(5, 8)
    expected = model(features)
    pack_linears(model, CPU, numbers)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(features)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_only_layers_of_the_cpu_in_numbers_that_need_no_second_try_are_packed() -> None:
    """What float16 is too small for is computed again, with the weights in float32."""
    assert can_pack(CPU, torch.float32)
    assert not can_pack(CPU, torch.float16)
    assert not can_pack(torch.device("cuda"), torch.float32)


@pytest.mark.parametrize(("numbers", "kept"), [(torch.bfloat16, 2), (torch.float16, 3), (torch.float32, 3)])
def test_on_a_gpu_weights_are_rounded_for_bfloat16_alone(numbers: torch.dtype, kept: int) -> None:
    """Not those of layers in float32, nor those that a layer of another kind reads itself."""
    with simulated_cuda():
        cuda = torch.device("cuda")
        other = nn.Sequential(InFloat32(nn.Sequential(nn.Linear(8, 8))), nn.Conv1d(8, 8, 1))
        model = nn.ModuleList([other, ActivatedLinear(nn.Linear(8, 8), "gelu")]).to(cuda)
        pack_linears(model, cuda, numbers)
        weights = [each.dtype for name, each in model.named_parameters() if name.endswith("weight")]
        assert weights == [torch.float32] * kept + [numbers] * (3 - kept)
