"""BERT as Grounding DINO uses it: from local files, and with a mask that says which token may attend to which."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertTokenizerFast

from promptable.models.checksum import sha256_of
from promptable.models.errors import ModelError
from promptable.models.grounding_dino.spelling import load_vocabulary


class TextEncoder(nn.Module):
    """The part that upstream's ``BertModelWarper`` plays, on BERT's public embeddings and encoder only.

    Upstream's class calls methods of BertModel that transformers 5 no longer has; this one gives the same numbers on
    transformers 4 and 5. Its parameters are named as in upstream's checkpoints.
    """

    def __init__(self, bert_model: BertModel) -> None:
        super().__init__()
        self.config = bert_model.config
        self.embeddings = bert_model.embeddings
        self.encoder = bert_model.encoder
        self.pooler = bert_model.pooler  # never run; the checkpoints hold its weights

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor, position_ids: Tensor
    ) -> dict[str, Tensor]:
        """Encode tokens: int64 [B, T] each, and bool [B, T, T], where a token (row) may attend to another (column).

        Returns ``last_hidden_state``, float [B, T, hidden].
        """
        embedded = self.embeddings(input_ids=input_ids, position_ids=position_ids, token_type_ids=token_type_ids)
        forbidden = ~attention_mask[:, None].bool()
        additive = torch.zeros(forbidden.shape, dtype=embedded.dtype, device=embedded.device)
        additive.masked_fill_(forbidden, torch.finfo(embedded.dtype).min)
        return {"last_hidden_state": self.encoder(embedded, attention_mask=additive).last_hidden_state}


def new_bert(config_file: Path) -> BertModel:
    """BERT with random weights and the fields of ``bert.json``; those of bert-base-uncased for what is not there."""
    values: dict[str, Any] = json.loads(config_file.read_text(encoding="utf-8")) if config_file.is_file() else {}
    return BertModel(BertConfig(**values))


def load_tokenizer(vocabulary: Path, sha256: str | None = None) -> BertTokenizerFast:
    """The uncased tokenizer of a ``vocab.txt``, checked against ``sha256`` where one is given.

    It is made of this file alone: transformers would prefer a ``tokenizer.json`` that lies beside it.
    Raises FileNotFoundError with the remedy when the file is missing, ModelError when it is not the expected one.
    """
    if not vocabulary.is_file():
        raise FileNotFoundError(
            f"{vocabulary} is missing, and Grounding DINO reads prompts with it; that of the official models:"
            f" promptable download swin-t --weights {vocabulary.parent}"
        )
    if sha256 is not None and (actual := sha256_of(vocabulary)) != sha256:
        raise ModelError(f"{vocabulary} is not the expected vocabulary: its SHA-256 is {actual}, expected {sha256}")
    return BertTokenizerFast(tokenizer_object=load_vocabulary(vocabulary), do_lower_case=True)
