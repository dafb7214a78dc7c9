import pytest
import sam2.modeling.sam2_utils
import segment_anything.modeling.common
import torch
from torch import nn

from promptable.models.segmentation.channel_norm import ChannelNorm, fuse_norms

KINDS = [sam2.modeling.sam2_utils.LayerNorm2d, segment_anything.modeling.common.LayerNorm2d]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_norms_of_many_channels_give_upstreams_numbers_in_one_operator(
    kind: type[nn.Module], layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(kind(64), nn.Sequential(kind(64)))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    maps = torch.randn(2, 64, 5, 7).mul_(3).add_(1).to(memory_format=layout)
    expected = model(maps)
    fuse_norms(model, kind)
    assert sum(isinstance(each, ChannelNorm) for each in model.modules()) == 2
    torch.testing.assert_close(model(maps), expected, atol=1e-5, rtol=1e-5)
    assert model(maps).is_contiguous(memory_format=torch.channels_last)


def test_norms_of_few_channels_stay() -> None:
    model = nn.Sequential(KINDS[0](16))
    fuse_norms(model, KINDS[0])
    assert isinstance(model[0], KINDS[0])
