"""A SAM of the real classes that runs in milliseconds."""

import math

import torch
from segment_anything.modeling import Sam

from promptable.models.sam.build import SamConfig, build

CONFIG = SamConfig(
    encoder_embed_dim=16,
    encoder_depth=2,
    encoder_num_heads=2,
    encoder_global_attn_indexes=(1,),
    image_size=64,
    patch_size=8,
    window_size=3,
    prompt_embed_dim=16,
    decoder_num_heads=2,
    decoder_mlp_dim=16,
    iou_head_hidden_dim=16,
)
"""64 px with mask prompts of 32 x 32, global attention and windows that do not fit evenly."""


def tiny_model() -> Sam:
    """Random weights, also where the usual start is zero, and large enough that other prompts give other masks."""
    torch.manual_seed(7)
    sam = build(CONFIG)
    with torch.no_grad():
        for weights in (parameter for parameter in sam.parameters() if parameter.dim() > 1):
            weights.normal_(std=3 / math.sqrt(weights[0].numel()))
    return sam
