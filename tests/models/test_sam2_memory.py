"""Memories of SAM 2 as bytes: exact both ways, and nothing else is read."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from promptable.models.sam2_memory import Memory


def memory(step: int = 3, conditioning: bool = False) -> Memory:
    generator = torch.Generator().manual_seed(step)
    features = torch.randn(64, 8, 8, generator=generator).bfloat16()
    return Memory(step, conditioning, features, torch.randn(256, generator=generator))


def tensors() -> dict[str, torch.Tensor]:
    known = memory()
    return {
        "step": torch.tensor(3),
        "conditioning": torch.tensor(False),
        "features": known.features,
        "pointer": known.pointer,
    }


@given(st.integers(0, 10**6), st.booleans())
def test_bytes_give_the_same_memory_back(step: int, conditioning: bool) -> None:
    before = memory(step, conditioning)
    after = Memory.from_bytes(before.to_bytes())
    assert (after.step, after.conditioning) == (step, conditioning)
    assert after.features.dtype == torch.bfloat16
    assert torch.equal(after.features, before.features)
    assert torch.equal(after.pointer, before.pointer)


def test_values_that_are_not_finite_survive() -> None:
    odd = Memory(0, True, torch.tensor([[[torch.inf, torch.nan]]]).bfloat16(), torch.tensor([-torch.inf]))
    after = Memory.from_bytes(odd.to_bytes())
    assert torch.equal(after.features.isnan(), odd.features.isnan())
    assert after.pointer.item() == -torch.inf


def test_a_memory_of_full_size_is_small() -> None:
    full = Memory(7, False, torch.zeros(64, 64, 64, dtype=torch.bfloat16), torch.zeros(256))
    assert len(full.to_bytes()) < 600_000


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"safetensors|holds"):
        Memory.from_bytes(data)


@given(st.data())
def test_damaged_bytes_are_refused_or_have_the_right_types(data: st.DataObject) -> None:
    whole = bytearray(memory().to_bytes())
    position = data.draw(st.integers(0, 400))
    whole[position] = data.draw(st.integers(0, 255))
    try:
        read = Memory.from_bytes(bytes(whole))
    except ValueError:
        return
    assert read.features.dtype == torch.bfloat16
    assert read.features.ndim == 3
    assert read.pointer.ndim == 1


def test_a_type_that_torch_lacks_is_refused() -> None:
    header = b'{"features":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}'
    with pytest.raises(ValueError, match="safetensors"):
        Memory.from_bytes(len(header).to_bytes(8, "little") + header + bytes(2))


@pytest.mark.parametrize("cut", [1, 100, 600])
def test_a_truncated_memory_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="safetensors"):
        Memory.from_bytes(memory().to_bytes()[:-cut])


def test_a_pickle_is_refused() -> None:
    with pytest.raises(ValueError, match="safetensors"):
        Memory.from_bytes(pickle.dumps(tensors()))


@pytest.mark.parametrize(
    "change",
    [
        {"features": torch.zeros(64, 8, 8)},
        {"features": torch.zeros(64, 64, dtype=torch.bfloat16)},
        {"pointer": torch.zeros(256, dtype=torch.float64)},
        {"pointer": torch.zeros(1, 256)},
        {"step": torch.tensor(3.0)},
        {"step": torch.tensor([3])},
        {"step": torch.tensor(-1)},
        {"conditioning": torch.tensor(1)},
        {"more": torch.zeros(1)},
    ],
)
def test_other_tensors_are_refused(change: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="memory"):
        Memory.from_bytes(save({**tensors(), **change}))


@pytest.mark.parametrize("name", ["step", "conditioning", "features", "pointer"])
def test_missing_tensors_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        Memory.from_bytes(save({key: value for key, value in tensors().items() if key != name}))
