"""A SAM 2.1 of the real classes and every option of its own YAML that runs in milliseconds."""

from pathlib import Path

import torch
from omegaconf import OmegaConf
from sam2.modeling.sam2_base import SAM2Base

from promptable.models.sam2.build import build_architecture, official_config

SIZES = [
    "image_size=128",
    "image_encoder.trunk.embed_dim=16",
    "image_encoder.trunk.stages=[1,1,2,1]",
    "image_encoder.trunk.global_att_blocks=[3]",
    "image_encoder.neck.d_model=64",
    "image_encoder.neck.position_encoding.num_pos_feats=64",
    "image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "memory_attention.d_model=64",
    "memory_attention.num_layers=2",
    "memory_attention.layer.d_model=64",
    "memory_attention.layer.dim_feedforward=128",
    "memory_attention.layer.self_attention.embedding_dim=64",
    "memory_attention.layer.self_attention.feat_sizes=[8,8]",
    "memory_attention.layer.cross_attention.embedding_dim=64",
    "memory_attention.layer.cross_attention.feat_sizes=[8,8]",
    "memory_attention.layer.cross_attention.kv_in_dim=16",
    "memory_encoder.in_dim=64",
    "memory_encoder.out_dim=16",
    "memory_encoder.position_encoding.num_pos_feats=16",
    "memory_encoder.mask_downsampler.embed_dim=64",
    "memory_encoder.fuser.layer.dim=64",
]


def tiny_config(folder: Path) -> Path:
    """SAM 2.1's own YAML, with the sizes of a small model."""
    small = OmegaConf.merge(
        OmegaConf.load(official_config("sam2.1-tiny")), OmegaConf.from_dotlist([f"model.{size}" for size in SIZES])
    )
    file = folder / "config.yaml"
    OmegaConf.save(small, file)
    return file


def tiny_model(config: Path) -> SAM2Base:
    """Random weights of a size that keeps masks, scores and memories alive over a video."""
    torch.manual_seed(13)
    built = build_architecture(config)
    with torch.no_grad():
        for weights in (parameter for parameter in built.parameters() if parameter.ndim > 1):
            weights.normal_(std=1.1 / weights[0].numel() ** 0.5)
        score = built.sam_mask_decoder.pred_obj_score_head.layers[-1]
        score.weight *= 6
        score.bias.fill_(4.3)
    return built
