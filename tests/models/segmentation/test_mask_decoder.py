"""The faster mask decoder of either package gives upstream's masks."""

from copy import deepcopy
from typing import Any

import pytest
import sam2.modeling.sam2_utils
import segment_anything.modeling.common
import torch
from sam2.modeling.sam2_base import SAM2Base
from segment_anything.modeling import Sam
from torch import Tensor, nn

from promptable.models.runtime.precision import numbers
from promptable.models.segmentation.mask_decoder import fuse_decoder
from tests.models.sam2.tiny import tiny_config, tiny_model


@pytest.fixture(scope="module")
def tiny_sam2(tmp_path_factory: pytest.TempPathFactory) -> SAM2Base:
    return tiny_model(tiny_config(tmp_path_factory.mktemp("sam2")))


def parts(model: Sam | SAM2Base) -> tuple[Any, Any, type[nn.Module]]:
    """Decoder, prompt encoder and norm of a copy."""
    copied = deepcopy(model)
    if isinstance(copied, Sam):
        return copied.mask_decoder, copied.prompt_encoder, segment_anything.modeling.common.LayerNorm2d
    return copied.sam_mask_decoder, copied.sam_prompt_encoder, sam2.modeling.sam2_utils.LayerNorm2d


def decoded(
    decoder: Any, prompt_encoder: Any, count: int, layout: torch.memory_format, kind: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Masks, scores and more of a random picture and so many prompts of three points, in the dtype ``kind``."""
    torch.manual_seed(1)
    image_pe = prompt_encoder.get_dense_pe()
    _, channels, height, width = image_pe.shape
    embedding, *fine = (
        torch.randn(1, channels // part, height * times, width * times).to(kind, memory_format=layout)
        for part, times in ((1, 1), (8, 4), (4, 2))
    )
    of_sam = isinstance(decoder, segment_anything.modeling.MaskDecoder)
    found: tuple[Tensor, ...] = decoder.to(kind)(
        image_embeddings=embedding,
        image_pe=image_pe.to(kind),
        sparse_prompt_embeddings=torch.randn(count, 3, channels).to(kind),
        dense_prompt_embeddings=torch.randn(count, channels, height, width).to(kind),
        multimask_output=True,
        **({} if of_sam else {"repeat_image": count > 1, "high_res_features": fine}),
    )
    return found


@pytest.mark.parametrize("package", ["tiny_sam", "tiny_sam2"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("count", [1, 2])
@torch.inference_mode()
def test_masks_and_scores_are_upstreams(
    package: str, layout: torch.memory_format, count: int, request: pytest.FixtureRequest
) -> None:
    """In float64, for which linear layers are not packed."""
    decoder, prompt_encoder, norm = parts(request.getfixturevalue(package))
    expected = decoded(decoder, prompt_encoder, count, layout, torch.float64)
    fuse_decoder(decoder, prompt_encoder, norm, torch.float64)
    found = decoded(decoder, prompt_encoder, count, layout, torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("package", ["tiny_sam", "tiny_sam2"])
@pytest.mark.parametrize("count", [1, 2])
@torch.inference_mode()
def test_packed_it_is_as_near_as_float32_is(package: str, count: int, request: pytest.FixtureRequest) -> None:
    """Of SAM's logits, up to 57, float32 makes a few wrong by .05 with these weights, upstream's own too."""
    decoder, prompt_encoder, norm = parts(request.getfixturevalue(package))
    layout = torch.channels_last
    expected = decoded(decoder, prompt_encoder, count, layout, torch.float64)
    fuse_decoder(decoder.float(), prompt_encoder, norm, numbers("fp32"))
    assert nn.Linear not in map(type, decoder.modules())
    for found, wanted in zip(decoded(decoder, prompt_encoder, count, layout), expected, strict=True):
        errors = (found - wanted).abs()
        assert errors.mean() < 1e-3
        assert errors.max() < 0.2


@pytest.mark.parametrize("package", ["tiny_sam", "tiny_sam2"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.inference_mode()
def test_no_layer_reads_tokens_whose_channels_lie_apart(
    package: str, layout: torch.memory_format, request: pytest.FixtureRequest
) -> None:
    decoder, prompt_encoder, norm = parts(request.getfixturevalue(package))
    fuse_decoder(decoder, prompt_encoder, norm, numbers("fp32"))
    seen = []
    for module in decoder.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda layer, given, _: seen.append((type(layer).__name__, given[0])))
    decoded(decoder, prompt_encoder, 2, layout)
    tokens = [(name, each) for name, each in seen if each.dim() == 3]
    assert len(tokens) > 20
    assert [name for name, each in tokens if each.stride(-1) != 1] == []
