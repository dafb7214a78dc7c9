"""A Grounding DINO of the real classes that runs in milliseconds, and the vocabularies that prompts are read with."""

from pathlib import Path

import pytest
import torch
from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
from transformers import BertConfig, BertModel, BertTokenizerFast

from promptable.models.grounding_dino.build import GroundingDinoConfig, build
from promptable.models.grounding_dino.text_encoder import load_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, ".", "?", "-", "##s", "##go", "red", "blue", "circle", "star", "car", "dog", "the"]
BERT = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
CONFIG = GroundingDinoConfig(
    swin_embed_dim=8,
    swin_depths=(1, 2),
    swin_num_heads=(1, 2),
    swin_window_size=3,
    return_interm_indices=(0, 1),
    num_feature_levels=4,
    enc_layers=1,
    dec_layers=2,
    dim_feedforward=32,
    num_queries=12,
    short_side=64,
    long_side=107,
)


def bert_base_vocabulary() -> Path:
    """The real vocabulary, which lies beside the repository; the calling test is skipped where it does not."""
    file = Path(__file__).resolve().parents[3].parent / "shared/media/bert-base-uncased-vocab.txt"
    if not file.is_file():
        pytest.skip(f"{file} is missing")
    return file


def bert_base_tokenizer(folder: Path) -> BertTokenizerFast:
    vocabulary = folder / "vocab.txt"
    vocabulary.write_bytes(bert_base_vocabulary().read_bytes())
    return load_tokenizer(vocabulary)


def word_tokenizer(folder: Path) -> BertTokenizerFast:
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS))
    return load_tokenizer(vocabulary)


def tiny_model(tokenizer: BertTokenizerFast, config: GroundingDinoConfig = CONFIG) -> GroundingDINO:
    """Random weights, also where the usual start is zero, so that every part tells; logits of a few units."""
    torch.manual_seed(3)
    model = build(config, BertModel(BertConfig(**BERT)), tokenizer)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(torch.randn_like(weights) * 0.05)
        model.transformer.encoder.text_layers[-1].norm2.weight.mul_(0.1)
    return model
