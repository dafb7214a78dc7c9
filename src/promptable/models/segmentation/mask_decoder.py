"""The mask decoder of SAM and of SAM 2 as upstream's, faster: the same weights and, up to rounding, the same masks.

Both packages' decoders read maps as tokens. Where the channels of a map do not lie last in memory, every norm, sum and
linear layer over its tokens gathers them again.
"""

from typing import Any

import torch
from torch import Tensor, nn

from promptable.models.runtime.packed_linear import pack_linears
from promptable.models.segmentation.channel_norm import fuse_norms
from promptable.models.segmentation.channels_last import channels_last


def fuse_decoder(decoder: Any, prompt_encoder: Any, norm: type[nn.Module], numbers: torch.dtype) -> None:
    """Give a ``MaskDecoder`` of either package in evaluation mode, on the device where it stays, faster layers.

    ``prompt_encoder`` is the one that comes before it, ``norm`` the package's ``LayerNorm2d``; linear layers will
    compute in the dtype ``numbers``.
    """
    positions = prompt_encoder.get_dense_pe().detach()
    decoder.transformer = TwoWay(decoder.transformer, positions)
    channels_last(decoder.output_upscaling)
    fuse_norms(decoder, norm)
    pack_linears(decoder, positions.device, numbers)


class TwoWay(nn.Module):
    """Either package's ``TwoWayTransformer``, on maps whose channels lie last in memory.

    ``image_pe`` [1, C, h, w] is the positional encoding, which is the same for all pictures.
    """

    _image_pe: Tensor

    def __init__(self, transformer: nn.Module, image_pe: Tensor) -> None:
        super().__init__()
        self._transformer = transformer
        self.register_buffer("_image_pe", image_pe.contiguous(memory_format=torch.channels_last), persistent=False)

    def forward(self, image_embedding: Tensor, _: Tensor, point_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, C, h, w], their positional encoding and tokens [B, N, C] -> tokens [B, N, C] and [B, h * w, C]."""
        maps = image_embedding.contiguous(memory_format=torch.channels_last)
        attended: tuple[Tensor, Tensor] = self._transformer(maps, self._image_pe, point_embedding)
        return attended
