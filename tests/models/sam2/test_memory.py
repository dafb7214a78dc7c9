"""Memories of SAM 2 as bytes: exact both ways, and nothing else is read."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from promptable.models.sam2.evidence import GIVEN, Evidence
from promptable.models.sam2.memory import Memory, MemoryFeatures

Reader = Callable[[bytes], object]


def memory(step: int = 3, conditioning: bool = False, evidence: Evidence = GIVEN, distractor: bool = False) -> Memory:
    generator = torch.Generator().manual_seed(step)
    features = torch.randn(64, 8, 8, generator=generator).bfloat16()
    return Memory(step, conditioning, torch.randn(256, generator=generator), features, evidence, distractor)


POINTER = {
    "step": torch.tensor(3),
    "conditioning": torch.tensor(False),
    "distractor": torch.tensor(False),
    "evidence": torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64),
    "pointer": memory().pointer,
}
JUDGEMENT = {"evidence", "distractor"}
FEATURES: dict[str, Any] = {"features": memory().features}


PARTS = pytest.mark.parametrize(
    ("read", "good"),
    [(Memory.from_pointer_bytes, save(POINTER)), (MemoryFeatures.from_bytes, save(FEATURES))],
    ids=["pointer", "features"],
)


shares = st.floats(0, 1)
evidences = st.builds(Evidence, score=shares, iou=shares, area=st.integers(0, 10**6), rival=st.booleans())


@given(st.integers(0, 10**6), st.booleans(), evidences, st.booleans())
def test_bytes_give_the_same_memory_back(step: int, conditioning: bool, evidence: Evidence, distractor: bool) -> None:
    before = memory(step, conditioning, evidence, distractor)
    after = Memory.from_pointer_bytes(before.pointer_bytes())
    assert (after.step, after.conditioning) == (step, conditioning)
    assert (after.evidence, after.distractor) == (evidence, distractor)
    assert torch.equal(after.pointer, before.pointer)
    assert after.features is None


def test_bytes_give_the_same_features_back() -> None:
    after = MemoryFeatures.from_bytes(MemoryFeatures(FEATURES["features"]).to_bytes()).values
    torch.testing.assert_close(after, FEATURES["features"], rtol=0, atol=0)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(wrong: float) -> None:
    odd = Memory(0, True, torch.tensor([wrong, 1.0]), None)
    with pytest.raises(ValueError, match="finite"):
        Memory.from_pointer_bytes(odd.pointer_bytes())
    for numbers in ([1.0, wrong, 2.0], [wrong, 1.0], [1.0, wrong]):
        with pytest.raises(ValueError, match="finite"):
            MemoryFeatures.from_bytes(MemoryFeatures(torch.tensor([[numbers]]).bfloat16()).to_bytes())


def test_features_of_any_layout_are_written() -> None:
    """What bf16 makes of several objects on a CPU lies channels last."""
    features = torch.arange(24.0).reshape(2, 3, 4).bfloat16()
    turned = features.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert not turned.is_contiguous()
    assert torch.equal(MemoryFeatures.from_bytes(MemoryFeatures(turned).to_bytes()).values, features)


def test_what_an_object_needs_takes_under_four_megabytes() -> None:
    """At 1024 pixels: 1.4 KB and 0.52 MB a frame, 3.7 MB for what SAM 2.1's next step looks at."""
    pointer = len(Memory(7, False, torch.zeros(256), None).pointer_bytes())
    features = len(MemoryFeatures(torch.zeros(64, 64, 64, dtype=torch.bfloat16)).to_bytes())
    assert pointer < 1_500
    assert features < 525_000
    assert 3.6e6 < 16 * pointer + 7 * features < 3.7e6


@PARTS
@given(data=st.binary(max_size=200))
def test_other_bytes_are_refused(read: Reader, good: bytes, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"safetensors|holds"):
        read(data)


@PARTS
@given(data=st.data())
def test_damaged_bytes_are_refused_or_have_the_right_types(read: Reader, good: bytes, data: st.DataObject) -> None:
    whole = bytearray(good)
    position = data.draw(st.integers(0, 400))
    whole[position] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(whole))
    except ValueError:
        return
    if isinstance(found, Memory):
        assert found.pointer.ndim == 1
    else:
        assert isinstance(found, MemoryFeatures)
        assert found.values.dtype == torch.bfloat16


def test_a_type_that_torch_lacks_is_refused() -> None:
    header = b'{"features":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}'
    with pytest.raises(ValueError, match="safetensors"):
        MemoryFeatures.from_bytes(len(header).to_bytes(8, "little") + header + bytes(2))


@PARTS
@pytest.mark.parametrize("cut", [1, 100, 600])
def test_a_truncated_memory_is_refused(read: Reader, good: bytes, cut: int) -> None:
    with pytest.raises(ValueError, match="safetensors"):
        read(good[:-cut])


@PARTS
def test_a_pickle_is_refused(read: Reader, good: bytes) -> None:
    with pytest.raises(ValueError, match="safetensors"):
        read(pickle.dumps(POINTER | FEATURES))


@pytest.mark.parametrize(
    "change",
    [
        {"pointer": torch.zeros(256, dtype=torch.float64)},
        {"pointer": torch.zeros(1, 256)},
        {"step": torch.tensor(3.0)},
        {"step": torch.tensor([3])},
        {"step": torch.tensor(-1)},
        {"conditioning": torch.tensor(1)},
        {"distractor": torch.tensor(1)},
        {"evidence": torch.zeros(4)},
        {"evidence": torch.zeros(3, dtype=torch.float64)},
        {"more": torch.zeros(1)},
    ],
)
def test_other_tensors_beside_the_pointer_are_refused(change: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="memory"):
        Memory.from_pointer_bytes(save({**POINTER, **change}))


@pytest.mark.parametrize(
    "tensors",
    [
        {"features": torch.zeros(64, 8, 8)},
        {"features": torch.zeros(64, 64, dtype=torch.bfloat16)},
        {**FEATURES, "more": torch.zeros(1)},
        {},
    ],
)
def test_other_features_are_refused(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="holds"):
        MemoryFeatures.from_bytes(save(tensors))


@pytest.mark.parametrize("name", POINTER)
def test_missing_tensors_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="holds"):
        Memory.from_pointer_bytes(save({key: value for key, value in POINTER.items() if key != name}))


def test_the_parts_cannot_be_swapped() -> None:
    with pytest.raises(ValueError, match="holds"):
        Memory.from_pointer_bytes(save(FEATURES))
    with pytest.raises(ValueError, match="holds"):
        MemoryFeatures.from_bytes(memory().pointer_bytes())
