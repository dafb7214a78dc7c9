"""Each faster part of Grounding DINO computes what upstream's computes, on weights where every number tells."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
from groundingdino.models.GroundingDINO.fuse_modules import BiAttentionBlock
from groundingdino.models.GroundingDINO.ms_deform_attn import MultiScaleDeformableAttention
from groundingdino.models.GroundingDINO.utils import gen_encoder_output_proposals
from torch import Tensor, nn
from torch.testing import assert_close

from promptable.models.grounding_dino.deformable_attention import DeformableAttention, levels_of
from promptable.models.grounding_dino.fusion import TextImageFusion
from promptable.models.grounding_dino.swin import FastSwin
from promptable.models.grounding_dino.transformer import _anchors, _middles

SHAPES = ((7, 9), (4, 5), (1, 2))
PIXELS = sum(height * width for height, width in SHAPES)
LEVELS = levels_of(SHAPES, 4, 2, torch.device("cpu"))
TOLERANCE: dict[str, Any] = {"atol": 5e-5, "rtol": 1e-5}


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(5)
    with torch.inference_mode():
        yield


def random(module: nn.Module, size: float) -> Any:
    for weights in module.parameters():
        weights.copy_(torch.randn_like(weights) * size)
    return module.eval()


@pytest.fixture
def attention() -> Any:
    """Offsets of up to some ten pixels: much of what is read lies outside of the maps."""
    return random(MultiScaleDeformableAttention(16, num_heads=4, num_levels=3, num_points=2, batch_first=True), 1.0)


def expected(attention: Any, query: Tensor, values: Tensor, references: Tensor) -> Tensor:
    attended: Tensor = attention(
        query[None], value=values[None], reference_points=references[None], spatial_shapes=torch.tensor(SHAPES)
    )
    return attended[0]


def test_pixels_read_between_the_pixels_of_all_levels_and_zeros_outside(attention: Any) -> None:
    values, query = torch.randn(PIXELS, 16), torch.randn(PIXELS, 16)
    middles = _middles(SHAPES, torch.device("cpu"))
    ours = DeformableAttention(attention)
    found = ours(query, ours.table(values, LEVELS), LEVELS, LEVELS.located(middles), None)
    assert_close(found, expected(attention, query, values, middles[:, None].expand(-1, 3, -1)), **TOLERANCE)


def test_the_offsets_of_boxes_are_shares_of_their_sides(attention: Any) -> None:
    values, query, boxes = torch.randn(PIXELS, 16), torch.randn(30, 16), torch.rand(30, 4) * 1.2
    ours = DeformableAttention(attention)
    unit = boxes[:, 2:, None, None] * LEVELS.sizes * (0.5 / LEVELS.points)
    found = ours(query, ours.table(values, LEVELS), LEVELS, LEVELS.located(boxes[:, :2]), unit)
    assert_close(found, expected(attention, query, values, boxes[:, None].expand(-1, 3, -1)), **TOLERANCE)


def test_anchors_are_upstreams() -> None:
    shapes = ((60, 70), (4, 5))
    pixels = sum(height * width for height, width in shapes)
    _, proposals = gen_encoder_output_proposals(
        torch.zeros(1, pixels, 1), torch.zeros(1, pixels, dtype=torch.bool), torch.tensor(shapes)
    )
    anchors = _anchors(_middles(shapes, torch.device("cpu")), shapes)
    assert anchors.isinf().any(), "some are too near to the edge"
    assert_close(anchors, proposals[0], **TOLERANCE)


@pytest.mark.parametrize("tokens", [1, 5])
def test_text_and_picture_look_at_one_another_as_in_upstream(tokens: int) -> None:
    block = random(BiAttentionBlock(8, 8, 24, 3), 0.7)
    pixels, text = torch.randn(20, 8), torch.randn(tokens, 8)
    for found, wanted in zip(TextImageFusion(block)(pixels, text), block(pixels[None], text[None]), strict=True):
        assert_close(found, wanted[0], **TOLERANCE)


@pytest.mark.parametrize("hw", [(32, 32), (30, 53), (9, 70)])
def test_swin_is_upstreams(hw: tuple[int, int]) -> None:
    """Sides that are multiples of a window's and those that are not; maps smaller than a window."""
    swin = SwinTransformer(embed_dim=8, depths=[2, 2, 3], num_heads=[1, 2, 4], window_size=4, out_indices=(0, 2))
    random(swin, 0.4)
    picture = torch.randn(3, *hw)
    expected = swin.forward_raw(picture[None])
    ours = FastSwin(swin)
    found = ours(picture, ours.stages(*hw, picture.device))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, **TOLERANCE)
