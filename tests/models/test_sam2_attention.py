"""The quicker memory attention computes what upstream's does."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from sam2.modeling.memory_attention import MemoryAttention
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from promptable.models import sam2_attention
from promptable.models.sam2_attention import FrameAttention, speed_up
from promptable.models.sam2_build import build_architecture
from tests.functions.conftest import TOY

SIDE, CHANNELS, MEMORY_CHANNELS = 12, 128, 64


@pytest.fixture(scope="module")
def model() -> SAM2Base:
    torch.manual_seed(3)
    return build_architecture(TOY / "sam2" / "config.yaml")


@pytest.fixture(scope="module")
def quick(model: SAM2Base) -> FrameAttention:
    other = copy.deepcopy(model)
    speed_up(other)
    attention = other.memory_attention
    assert isinstance(attention, FrameAttention)
    return attention


def inputs(objects: int, frames: int, pointers: int, scale: float = 1.0) -> dict[str, Any]:
    """A frame and what the objects remember, as ``SAM2Base`` hands them over."""
    positions, remembered = SIDE * SIDE, frames * SIDE * SIDE + pointers
    return {
        "curr": [torch.randn(positions, 1, CHANNELS).expand(-1, objects, -1)],
        "curr_pos": [torch.randn(positions, 1, CHANNELS).expand(-1, objects, -1)],
        "memory": scale * torch.randn(remembered, objects, MEMORY_CHANNELS),
        "memory_pos": torch.randn(remembered, objects, MEMORY_CHANNELS),
        "num_obj_ptr_tokens": pointers,
    }


@pytest.mark.parametrize(("objects", "frames", "pointers"), [(1, 1, 2), (1, 7, 0), (3, 7, 32)])
@pytest.mark.parametrize("block", [1024, 100])
@torch.inference_mode()
def test_it_computes_what_upstream_does(
    model: SAM2Base,
    quick: FrameAttention,
    monkeypatch: pytest.MonkeyPatch,
    objects: int,
    frames: int,
    pointers: int,
    block: int,
) -> None:
    monkeypatch.setattr(sam2_attention, "_BLOCK", block)
    given = inputs(objects, frames, pointers)
    theirs: Tensor = model.memory_attention(**given)
    torch.testing.assert_close(quick(**given), theirs, atol=2e-5, rtol=0)
    assert theirs.std() > 0.5


@torch.inference_mode()
def test_objects_keep_apart(model: SAM2Base, quick: FrameAttention) -> None:
    given = inputs(3, 2, 4)
    alone = [
        quick(
            **given
            | {"curr": [given["curr"][0][:, :1]], "curr_pos": [given["curr_pos"][0][:, :1]]}
            | {name: given[name][:, index : index + 1] for name in ("memory", "memory_pos")}
        )
        for index in range(3)
    ]
    torch.testing.assert_close(quick(**given), torch.cat(alone, 1), atol=2e-5, rtol=0)


@torch.inference_mode()
def test_extreme_scores_stay_finite(model: SAM2Base, quick: FrameAttention) -> None:
    """The running maximum keeps the exponentials in range, in whatever block the largest score is."""
    given = inputs(2, 7, 32, scale=300.0)
    ours = quick(**given)
    assert ours.isfinite().all()
    torch.testing.assert_close(ours, model.memory_attention(**given), atol=1e-3, rtol=0)


@torch.inference_mode()
def test_in_bfloat16_it_is_as_near_as_upstream(model: SAM2Base, quick: FrameAttention) -> None:
    given = inputs(2, 7, 32)
    exact = model.memory_attention(**given)
    with torch.autocast("cpu", torch.bfloat16):
        theirs, ours = model.memory_attention(**given), quick(**given)
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
    speed_up(model)
    assert isinstance(model.memory_attention, MemoryAttention)
