"""The networks of MM-Grounding-DINO and LLMDet, of the published sizes or those of a folder in transformers' form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
from transformers import BertConfig, BertModel, MMGroundingDinoConfig, PreTrainedTokenizerBase

from promptable.models.errors import ModelError
from promptable.models.grounding_dino import build as grounding_dino
from promptable.models.grounding_dino.build import SWIN_B, SWIN_T, GroundingDinoConfig
from promptable.models.mm_grounding_dino.contrastive import ScaledContrastiveEmbed

_PROCESSOR_FILE, _PREPROCESSOR_FILE = "processor_config.json", "preprocessor_config.json"
"""Where transformers 5 says, under ``image_processor``, how pictures are resized; and where all else say it."""
_ALWAYS = {
    "d_model": 256,
    "query_dim": 4,
    "two_stage": True,
    "position_embedding_type": "sine",
    "positional_embedding_temperature": 20,
    "activation_function": "relu",
    "layer_norm_eps": 1e-5,
    "max_text_len": 256,
}
_ALWAYS_OF_SWIN = {
    "model_type": "swin",
    "patch_size": 4,
    "num_channels": 3,
    "mlp_ratio": 4.0,
    "qkv_bias": True,
    "use_absolute_embeddings": False,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
"""What upstream's Grounding DINO knows no other value of; all published models have these."""


@dataclass(frozen=True)
class MMConfig:
    """The sizes of a model and of its text encoder."""

    network: GroundingDinoConfig
    bert: BertConfig


def _mm(sizes: GroundingDinoConfig, bert: BertConfig) -> MMConfig:
    return MMConfig(replace(sizes, dec_pred_bbox_embed_share=False), bert)


_SWIN_L = GroundingDinoConfig(
    192, (2, 2, 18, 2), (6, 12, 24, 48), 12, return_interm_indices=(0, 1, 2, 3), num_feature_levels=5
)
"""Beside a larger Swin, a finer feature level: its pixels are four times as many."""
_SIZES = {"tiny": SWIN_T, "base": SWIN_B, "large": _SWIN_L}
PRESETS: Mapping[str, MMConfig] = MappingProxyType(
    {
        f"{family}-{size}": _mm(config, BertConfig())
        for family in ("mm-grounding-dino", "llmdet")
        for size, config in _SIZES.items()
    }
)


def build(config: MMConfig, tokenizer: PreTrainedTokenizerBase) -> GroundingDINO:
    """Upstream's Grounding DINO with these models' logits and random weights, in evaluation mode."""
    network = grounding_dino.build(config.network, BertModel(config.bert), tokenizer)
    network.class_embed[-1] = ScaledContrastiveEmbed()  # the decoder has the same list; its other logits are unused
    return network


def read_config(file: Path) -> MMConfig:
    """The sizes in a published ``config.json``; the processor's file, if there is one, says how pictures are resized.

    Raises ModelError that names the key where the model is none of this architecture.
    """
    config = MMGroundingDinoConfig.from_dict(json.loads(file.read_text()))
    swin = config.backbone_config
    _check(file, config, _ALWAYS)
    _check(file, swin, _ALWAYS_OF_SWIN)
    _check(file, config, {"decoder_attention_heads": config.encoder_attention_heads})
    _check(file, config, {"decoder_ffn_dim": config.encoder_ffn_dim})
    short_side, long_side = _sides(file.parent)
    sizes = GroundingDinoConfig(
        swin.embed_dim,
        tuple(swin.depths),
        tuple(swin.num_heads),
        swin.window_size,
        return_interm_indices=tuple(index - 1 for index in swin.out_indices),
        num_feature_levels=config.num_feature_levels,
        enc_layers=config.encoder_layers,
        dec_layers=config.decoder_layers,
        dim_feedforward=config.encoder_ffn_dim,
        nheads=config.encoder_attention_heads,
        num_queries=config.num_queries,
        enc_n_points=config.encoder_n_points,
        dec_n_points=config.decoder_n_points,
        embed_init_tgt=config.embedding_init_target,
        short_side=short_side,
        long_side=long_side,
    )
    return _mm(sizes, config.text_config)


def _check(file: Path, config: Any, expected: Mapping[str, Any]) -> None:
    for key, value in expected.items():
        if (actual := getattr(config, key)) != value:
            raise ModelError(f"{file}: {key} must be {value!r}, got {actual!r}")


def _sides(folder: Path) -> tuple[int, int]:
    """The shorter and longer side to resize pictures to; the published models' where no file says it. As transformers,
    read of two files the one of version 5. Raises ModelError."""
    found = _size(folder / _PROCESSOR_FILE, "image_processor") or _size(folder / _PREPROCESSOR_FILE)
    return found or (SWIN_T.short_side, SWIN_T.long_side)


def _size(file: Path, part: str = "") -> tuple[int, int] | None:
    """The sides that a file says, in ``part`` of it; None without the file, or the part. Raises ModelError."""
    if not file.is_file():
        return None
    try:
        said = json.loads(file.read_text())
        if part and part not in said:
            return None
        size = (said[part] if part else said)["size"]
        return int(size["shortest_edge"]), int(size["longest_edge"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file}: expected size.shortest_edge and size.longest_edge in pixels: {error!r}") from None
