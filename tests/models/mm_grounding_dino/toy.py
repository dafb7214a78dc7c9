"""The toy Grounding DINO as an MM-Grounding-DINO that answers the same, without training."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import BertConfig, BertModel

from promptable.models.grounding_dino.build import GroundingDinoConfig, build
from promptable.models.grounding_dino.text_encoder import load_tokenizer
from promptable.models.mm_grounding_dino.names import published_names
from promptable.models.weights import load_weights, locate, read_sizes
from tests.functions.conftest import TOY

_SCALE = 16.0
"""Logits are divided by the square root of the 256 channels: a power of two, so that no number is rounded."""


def write_toy(folder: Path) -> Path:
    """The toy's folder as transformers would write it: logits are not biased, their scale is undone by the last norm.

    The last layer's box head reads that norm too, and so its first weights are smaller.
    """
    folder.mkdir(exist_ok=True)
    files = locate(str(TOY / "grounding-dino"), TOY)
    assert files.config is not None
    sizes = read_sizes(GroundingDinoConfig, files.config)
    bert = json.loads((files.folder / "bert.json").read_text())
    network = build(sizes, BertModel(BertConfig(**bert)), load_tokenizer(files.folder / "vocab.txt"))
    load_weights(network, files, {"label_enc.weight", "bert.embeddings.position_ids"})
    save_file(_published(network.state_dict(), sizes.dec_layers - 1), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(_config(sizes, bert)))
    resized = {"shortest_edge": sizes.short_side, "longest_edge": sizes.long_side}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": resized}))
    (folder / "vocab.txt").write_bytes((files.folder / "vocab.txt").read_bytes())
    return folder


def _published(state: dict[str, Tensor], last: int) -> dict[str, Tensor]:
    published = {f"class_embed.{last}.bias": torch.zeros(())}
    for name, tensor in state.items():
        if not name.endswith("relative_position_index") and not name.startswith("bert.pooler"):
            names = published_names(name)
            published |= dict(zip(names, tensor.clone().chunk(len(names)), strict=True))
    for name in ("weight", "bias"):
        published[f"model.decoder.layer_norm.{name}"] *= _SCALE
    published[f"bbox_embed.{last}.layers.0.weight"] /= _SCALE
    return {name: tensor.contiguous() for name, tensor in published.items()}


def _config(sizes: GroundingDinoConfig, bert: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "mm-grounding-dino",
        "backbone_config": {
            "model_type": "swin",
            "embed_dim": sizes.swin_embed_dim,
            "depths": sizes.swin_depths,
            "num_heads": sizes.swin_num_heads,
            "window_size": sizes.swin_window_size,
            "out_indices": [index + 1 for index in sizes.return_interm_indices],
        },
        "text_config": {"model_type": "bert", **bert},
        "num_feature_levels": sizes.num_feature_levels,
        "encoder_layers": sizes.enc_layers,
        "decoder_layers": sizes.dec_layers,
        "encoder_ffn_dim": sizes.dim_feedforward,
        "decoder_ffn_dim": sizes.dim_feedforward,
        "encoder_attention_heads": sizes.nheads,
        "decoder_attention_heads": sizes.nheads,
        "num_queries": sizes.num_queries,
        "encoder_n_points": sizes.enc_n_points,
        "decoder_n_points": sizes.dec_n_points,
        "embedding_init_target": sizes.embed_init_tgt,
    }
