"""SAM 2's image encoder as upstream's, faster: the same weights and, up to rounding, the same features.

Upstream already runs its attention fused, so what is left are the linear layers on a CPU.
"""

from sam2.modeling.backbones.image_encoder import ImageEncoder
from torch import nn

from promptable.models.runtime.cpu import PackedLinear, pack_linears


def pack_encoder(encoder: ImageEncoder, precision: str = "fp32") -> None:
    """Give a SAM 2 encoder in evaluation mode, on the device where it stays, faster layers of the same meaning.

    ``precision`` is the one it will run in (``device.autocast``): only float32 layers on a CPU are packed.
    """
    if encoder.trunk.pos_embed.device.type != "cpu" or precision == "bf16":
        return
    for block in encoder.trunk.blocks:
        block.mlp.layers[0] = PackedLinear(block.mlp.layers[0], gelu=True)
        block.mlp.act = nn.Identity()
    pack_linears(encoder)
