"""SAM's sizes, and how it is put together from upstream's classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

_PIXEL_MEAN = [123.675, 116.28, 103.53]
_PIXEL_STD = [58.395, 57.12, 57.375]


@dataclass(frozen=True)
class SamConfig:
    """Sizes of a SAM, named as the arguments in upstream's ``build_sam.py``. The official models share the defaults.

    ``image_size`` and ``patch_size`` are in pixels of the square model input, ``window_size`` in patches.
    """

    encoder_embed_dim: int
    encoder_depth: int
    encoder_num_heads: int
    encoder_global_attn_indexes: tuple[int, ...]
    image_size: int = 1024
    patch_size: int = 16
    window_size: int = 14
    prompt_embed_dim: int = 256
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_num_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_head_hidden_dim: int = 256


PRESETS: Mapping[str, SamConfig] = MappingProxyType(
    {
        "vit_b": SamConfig(768, 12, 12, (2, 5, 8, 11)),
        "vit_l": SamConfig(1024, 24, 16, (5, 11, 17, 23)),
        "vit_h": SamConfig(1280, 32, 16, (7, 15, 23, 31)),
    }
)


def build(config: SamConfig) -> Sam:
    """The upstream model of these sizes with random weights, in evaluation mode; as upstream's ``_build_sam``."""
    sam = Sam(_image_encoder(config), _prompt_encoder(config), _mask_decoder(config), _PIXEL_MEAN, _PIXEL_STD)
    return sam.eval()


def _image_encoder(config: SamConfig) -> ImageEncoderViT:
    return ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.encoder_embed_dim,
        depth=config.encoder_depth,
        num_heads=config.encoder_num_heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        global_attn_indexes=config.encoder_global_attn_indexes,
        window_size=config.window_size,
        out_chans=config.prompt_embed_dim,
    )


def _prompt_encoder(config: SamConfig) -> PromptEncoder:
    grid = config.image_size // config.patch_size
    return PromptEncoder(
        embed_dim=config.prompt_embed_dim,
        image_embedding_size=(grid, grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=config.mask_in_chans,
    )


def _mask_decoder(config: SamConfig) -> MaskDecoder:
    transformer = TwoWayTransformer(
        depth=config.decoder_depth,
        embedding_dim=config.prompt_embed_dim,
        num_heads=config.decoder_num_heads,
        mlp_dim=config.decoder_mlp_dim,
    )
    return MaskDecoder(
        transformer_dim=config.prompt_embed_dim,
        transformer=transformer,
        iou_head_hidden_dim=config.iou_head_hidden_dim,
    )
