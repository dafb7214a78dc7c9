"""SAM 2's image encoder as upstream's, faster: the same weights and, up to rounding, the same features.

Upstream already runs its attention fused. What is saved:

- Channels come last in memory from the first layer on: where they come first, every norm and sum is slower.
- The positional encodings of tokens are constants; those of the levels, which nothing reads, are not computed.
- The two finest levels pass two linear layers in a row, which are one layer with the product of their weights.
- On a CPU linear layers are packed, and 1 x 1 convolutions are linear layers.
"""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from promptable.models.runtime.packed_linear import ActivatedLinear, linear_of, pack_linears
from promptable.models.runtime.precision import InFloat32, numbers
from promptable.models.segmentation.channels_last import channels_last


def fuse_encoder(model: SAM2Base, precision: str = "fp32") -> None:
    """Give a SAM 2 in evaluation mode, on the device where it stays, a faster encoder of the same meaning.

    ``precision`` is the one it will run in (``models.runtime.precision``).
    """
    encoder = model.image_encoder
    if not _is_as_official(encoder):
        return
    model.image_encoder = FastEncoder(encoder, _taken_heads(model), model.image_size)
    for block in model.image_encoder.blocks:
        block.mlp.layers[0], block.mlp.act = ActivatedLinear(block.mlp.layers[0], "gelu"), nn.Identity()
    pack_linears(model.image_encoder, model.device, numbers(precision))


class FastEncoder(nn.Module):
    """Upstream's ``ImageEncoder`` for pictures of one size; ``heads`` are those of the finest levels, finest first."""

    _positions: Tensor

    def __init__(self, encoder: ImageEncoder, heads: Sequence[nn.Conv2d], image_size: int) -> None:
        super().__init__()
        trunk, self.neck = encoder.trunk, encoder.neck
        channels_last(trunk.patch_embed)
        self.patch_embed, self.blocks = InFloat32(trunk.patch_embed), trunk.blocks
        laterals = [_as_linear(convolution[0]) for convolution in reversed(self.neck.convs)]
        self.laterals = nn.ModuleList(
            InFloat32(_joined(lateral, _as_linear(heads[i])) if i < len(heads) else lateral)
            for i, lateral in enumerate(laterals)
        )
        self._stage_ends, self._left_out = trunk.stage_ends, encoder.scalp
        side = image_size // trunk.patch_embed.proj.stride[0]
        positions = trunk._get_pos_embed((side, side)).detach().contiguous()
        self.register_buffer("_positions", positions, persistent=False)

    def forward(self, pixels: Tensor) -> dict[str, list[Tensor]]:
        """The levels of a batch of pictures [B, 3, S, S] as maps [B, C, h, w], finest first."""
        tokens = self.patch_embed(pixels).contiguous() + self._positions
        stages = []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens)
            if number in self._stage_ends:
                stages.append(tokens)
        levels = self._levels(stages)
        return {"backbone_fpn": levels[: len(levels) - self._left_out]}

    def _levels(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """Upstream's ``FpnNeck``: coarser levels are added to the finer ones in ``fpn_top_down_levels``."""
        levels: list[Tensor] = []
        for number in reversed(range(len(stages))):
            level = self.laterals[number](stages[number]).permute(0, 3, 1, 2)
            if levels and number in self.neck.fpn_top_down_levels:
                level = level + F.interpolate(levels[0], scale_factor=2.0, mode="nearest")
            levels.insert(0, level)
        return levels


def _is_as_official(encoder: ImageEncoder) -> bool:
    neck, trunk = encoder.neck, encoder.trunk
    return (
        isinstance(trunk, Hiera)
        and isinstance(neck, FpnNeck)
        and trunk.return_interm_layers
        and (neck.fuse_type, neck.fpn_interp_model) == ("sum", "nearest")
        and all(convolution[0].kernel_size == (1, 1) for convolution in neck.convs)
    )


def _taken_heads(model: SAM2Base) -> list[nn.Conv2d]:
    """The decoder's layers for the finest levels, taken out of it; none if coarser levels are added to these."""
    if not model.use_high_res_features_in_sam or {0, 1} & set(model.image_encoder.neck.fpn_top_down_levels):
        return []
    decoder = model.sam_mask_decoder
    heads = [decoder.conv_s0, decoder.conv_s1]
    decoder.conv_s0 = decoder.conv_s1 = nn.Identity()
    return heads


def _as_linear(convolution: nn.Conv2d) -> nn.Linear:
    """A 1 x 1 convolution, for channels that come last."""
    return linear_of(convolution.weight.flatten(1), convolution.bias)


def _joined(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    weight, bias = first.weight.double(), first.bias.double()
    joined = (second.weight.double() @ weight, second.weight.double() @ bias + second.bias.double())
    return linear_of(*(each.float() for each in joined))
