"""The quicker memory attention computes what upstream's does."""

import copy
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from omegaconf import OmegaConf
from sam2.modeling.memory_attention import MemoryAttention
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from promptable.models.sam2 import memory_attention
from promptable.models.sam2.build import build_architecture
from promptable.models.sam2.memory_attention import FrameAttention, ObjectByObject, use_frame_attention
from promptable.models.sam2.memory_bank import MemoryTokens
from tests.functions.conftest import TOY

SIDE, CHANNELS, MEMORY_CHANNELS = 12, 128, 64


@pytest.fixture(scope="module")
def model() -> SAM2Base:
    torch.manual_seed(3)
    return build_architecture(TOY / "sam2" / "config.yaml")


@pytest.fixture(scope="module")
def quick(model: SAM2Base) -> FrameAttention:
    other = copy.deepcopy(model)
    use_frame_attention(other)
    attention = other.memory_attention
    assert isinstance(attention, FrameAttention)
    return attention


Frame = tuple[Tensor, Tensor]


def frame() -> Frame:
    """A frame and its position, [P, 1, C] each."""
    return torch.randn(SIDE * SIDE, 1, CHANNELS), torch.randn(SIDE * SIDE, 1, CHANNELS)


def thing(frames: int, pointers: int, scale: float = 1.0) -> MemoryTokens:
    """What an object remembers of so many frames, with so many tokens of pointers."""
    tokens = frames * SIDE * SIDE + pointers
    return MemoryTokens(scale * torch.randn(tokens, MEMORY_CHANNELS), torch.randn(tokens, MEMORY_CHANNELS), pointers)


def upstream(model: SAM2Base, seen: Frame, objects: Sequence[MemoryTokens]) -> Tensor:
    return ObjectByObject(model.memory_attention)(*seen, objects)  # type: ignore[no-any-return]


SIZES = [[(1, 2)], [(7, 0)], [(7, 32)] * 3, [(2, 4), (7, 32), (1, 2), (7, 30), (2, 4), (7, 32)]]
"""Frames and tokens of pointers of each object; also of objects that remember differently much."""


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("block", [1024, 100])
@torch.inference_mode()
def test_it_computes_what_upstream_does(
    model: SAM2Base,
    quick: FrameAttention,
    monkeypatch: pytest.MonkeyPatch,
    sizes: list[tuple[int, int]],
    block: int,
) -> None:
    monkeypatch.setattr(memory_attention, "_BLOCK", block)
    seen, objects = frame(), [thing(*size) for size in sizes]
    theirs = upstream(model, seen, objects)
    torch.testing.assert_close(quick(*seen, objects), theirs, atol=2e-5, rtol=0)
    assert theirs.std() > 0.5
    assert len(objects) == 1 or (theirs[0] - theirs[-1]).std() > 0.01, "objects must see the frame differently"


@torch.inference_mode()
def test_all_but_the_attention_is_one_batch(quick: FrameAttention) -> None:
    """Objects that remember as much are looked up together too."""
    seen, objects = frame(), [thing(*size) for size in SIZES[-1]]
    layer = quick._layers[0]
    with (
        patch.object(layer.linear1, "forward", wraps=layer.linear1.forward) as alone,
        patch.object(layer.cross_attn_image.k_proj, "forward", wraps=layer.cross_attn_image.k_proj.forward) as looks,
    ):
        quick(*seen, objects)
    assert (alone.call_count, looks.call_count) == (1, 4)


@torch.inference_mode()
def test_extreme_scores_stay_finite(model: SAM2Base, quick: FrameAttention) -> None:
    """The running maximum keeps the exponentials in range, in whatever block the largest score is.

    Scores 300 times as large are 300 times as far from float64's: up to 1e-3 of the result was seen.
    """
    seen, objects = frame(), [thing(7, 32, 300.0), thing(7, 32, 300.0)]
    ours = quick(*seen, objects)
    assert ours.isfinite().all()
    torch.testing.assert_close(ours, upstream(model, seen, objects), atol=5e-3, rtol=0)


@torch.inference_mode()
def test_in_bfloat16_it_is_as_near_as_upstream(model: SAM2Base, quick: FrameAttention) -> None:
    seen, objects = frame(), [thing(7, 32), thing(3, 8)]
    exact = upstream(model, seen, objects)
    with torch.autocast("cpu", torch.bfloat16):
        theirs, ours = upstream(model, seen, objects), quick(*seen, objects)
    assert (ours - exact).abs().mean() < 1.2 * (theirs - exact).abs().mean()


@pytest.mark.parametrize(
    "change",
    [
        "pos_enc_at_input=false",
        "layer.pos_enc_at_attn=true",
        "layer.activation=gelu",
        "layer.self_attention.num_heads=2",
    ],
)
def test_attention_of_another_kind_is_left_alone(tmp_path: Path, change: str) -> None:
    config = OmegaConf.load(TOY / "sam2" / "config.yaml")
    changed = OmegaConf.merge(config, OmegaConf.from_dotlist([f"model.memory_attention.{change}"]))
    OmegaConf.save(changed, tmp_path / "config.yaml")
    model = build_architecture(tmp_path / "config.yaml")
    use_frame_attention(model)
    assert isinstance(model.memory_attention, MemoryAttention)


@torch.inference_mode()
def test_values_mapped_after_they_are_weighted_are_the_same(
    model: SAM2Base, quick: FrameAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Hopper, in bfloat16: as near to upstream's float32 as when they are mapped before, but for rounding."""
    torch.manual_seed(5)
    seen, objects = frame(), [thing(7, 32), thing(2, 4)]
    expected = upstream(model, seen, objects)
    with torch.autocast("cpu", torch.bfloat16):
        before = quick(*seen, objects)
        monkeypatch.setattr(memory_attention, "_takes_narrow_values", lambda _: True)
        after = quick(*seen, objects)
    assert (before != after).any()
    assert (after - expected).norm() < 1.2 * (before - expected).norm()
