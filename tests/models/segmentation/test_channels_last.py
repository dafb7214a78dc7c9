import torch
from torch import nn

from promptable.models.segmentation.channels_last import channels_last


@torch.inference_mode()
def test_convolutions_give_their_maps_channels_last_and_the_same_numbers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ConvTranspose2d(8, 16, 2, 2))
    maps = torch.randn(2, 8, 9, 7)
    expected = model(maps)
    assert not expected.is_contiguous(memory_format=torch.channels_last)
    channels_last(model)
    found = model(maps)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_elsewhere_than_on_a_cpu_they_stay() -> None:
    model = nn.Conv2d(8, 8, 3, device="meta")
    channels_last(model)
    assert model.weight.is_contiguous()
