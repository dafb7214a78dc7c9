"""The faster encoder of SAM: upstream's features up to rounding."""

from copy import deepcopy

import pytest
import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.image_encoder import Attention
from torch import nn

from promptable.models.runtime.precision import autocast
from promptable.models.sam import image_encoder as sam_encoder
from promptable.models.sam.image_encoder import fuse_encoder


@pytest.mark.parametrize("most_weights", [1, 2**24], ids=["head by head", "all heads"])
@torch.inference_mode()
def test_the_features_are_upstreams(tiny_sam: Sam, most_weights: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam_encoder, "_MOST_WEIGHTS", {"cpu": most_weights})
    torch.manual_seed(3)
    pixels = torch.randn(2, 3, 64, 64)
    faster = deepcopy(tiny_sam.image_encoder)
    fuse_encoder(faster)
    torch.testing.assert_close(faster(pixels), tiny_sam.image_encoder(pixels), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_positions_folded_into_queries_and_keys_are_the_same(tiny_sam: Sam) -> None:
    """In float64: in float32 each way is off by up to 5e-5 of values up to 40, by the CPU's own order of sums."""
    torch.manual_seed(3)
    tokens = torch.randn(2, 8, 8, 16, dtype=torch.float64)
    attention = deepcopy(tiny_sam.image_encoder.blocks[1].attn).double()
    folded = sam_encoder.FoldedAttention(deepcopy(attention)).double()
    torch.testing.assert_close(folded(tokens), attention(tokens), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("channels", "side"), [(4, 3), (8, 14), (64, 5)])
@torch.inference_mode()
def test_positions_are_folded_into_heads_of_any_width(channels: int, side: int) -> None:
    """Those that are filled up to a group of channels, too, by more than they have."""
    torch.manual_seed(3)
    attention = Attention(2 * channels, 2, use_rel_pos=True, input_size=(side, side)).eval()
    for table in (attention.rel_pos_h, attention.rel_pos_w):
        nn.init.normal_(table)
    tokens = torch.randn(2, side, side, 2 * channels)
    folded = sam_encoder.FoldedAttention(deepcopy(attention))
    torch.testing.assert_close(folded(tokens), attention(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.inference_mode()
def test_the_relative_positions_count(tiny_sam: Sam, precision: str) -> None:
    pixels = torch.randn(1, 3, 64, 64)
    without = deepcopy(tiny_sam.image_encoder)
    for block in without.blocks:
        block.attn.rel_pos_w.zero_()
    faster, flattened = deepcopy(tiny_sam.image_encoder), without
    fuse_encoder(faster, precision)
    fuse_encoder(flattened, precision)
    with autocast("cpu", precision):
        assert (faster(pixels) - flattened(pixels)).abs().max() > 0.01


def test_no_layer_stays_slow(tiny_sam: Sam) -> None:
    faster = deepcopy(tiny_sam.image_encoder)
    fuse_encoder(faster)
    assert [type(module) for module in faster.modules() if type(module) is nn.Linear] == []
