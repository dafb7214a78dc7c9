import json
import socket
from pathlib import Path

import pytest
import torch
from groundingdino.models.GroundingDINO.bertwarper import generate_masks_with_special_tokens_and_transfer_map
from transformers import BertConfig, BertModel

from promptable.models.catalogue import BERT_VOCABULARY
from promptable.models.grounding_dino.captions import pack
from promptable.models.grounding_dino.spelling import load_vocabulary
from promptable.models.grounding_dino.text_encoder import TextEncoder, load_tokenizer, new_bert
from tests.models.grounding_dino.tiny import BERT, WORDS, bert_base_tokenizer, bert_base_vocabulary, word_tokenizer


def test_each_prompt_is_encoded_as_if_it_were_alone(tmp_path: Path) -> None:
    """With upstream's masks a caption equals plain BERT run on each "prompt .", on [CLS] and on [SEP] by themselves."""
    torch.manual_seed(1)
    bert = BertModel(BertConfig(**BERT)).eval()
    tokenizer = word_tokenizer(tmp_path)
    (caption,) = pack(["red circle", "the cargo", "dog"], tokenizer)
    ids = torch.tensor([caption.input_ids])
    separators = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", ".", "?"])
    mask, positions, _ = generate_masks_with_special_tokens_and_transfer_map({"input_ids": ids}, separators, tokenizer)
    with torch.inference_mode():
        encoded = TextEncoder(bert)(ids, torch.zeros_like(ids), mask, positions)["last_hidden_state"][0]
        for start, stop in [
            (0, 1),
            *((start, stop + 1) for start, stop in caption.spans),
            (len(ids[0]) - 1, len(ids[0])),
        ]:
            alone = bert(ids[:, start:stop]).last_hidden_state[0]
            torch.testing.assert_close(encoded[start:stop], alone, atol=1e-6, rtol=1e-5)


def test_parameters_are_named_as_in_the_checkpoints() -> None:
    names = set(TextEncoder(BertModel(BertConfig(**BERT))).state_dict())
    assert {"embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.bias", "pooler.dense.weight"} <= names


def test_bert_is_that_of_bert_json_or_bert_base(tmp_path: Path) -> None:
    (tmp_path / "bert.json").write_text(json.dumps(BERT))
    assert new_bert(tmp_path / "bert.json").embeddings.word_embeddings.weight.shape == (len(WORDS), 16)
    with torch.device("meta"):
        base = new_bert(tmp_path / "absent.json")
    assert base.embeddings.word_embeddings.weight.shape == (30522, 768)
    assert len(base.encoder.layer) == 12


def test_a_missing_vocabulary_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"vocab.txt is missing.*promptable download swin-t"):
        load_tokenizer(tmp_path / "vocab.txt")


def test_the_vocabulary_is_checked(tmp_path: Path) -> None:
    word_tokenizer(tmp_path)
    with pytest.raises(ValueError, match=r"vocab\.txt is not the expected vocabulary"):
        load_tokenizer(tmp_path / "vocab.txt", BERT_VOCABULARY.sha256)


def test_the_real_vocabulary_passes_its_check(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(bert_base_vocabulary().read_bytes())
    assert load_tokenizer(tmp_path / "vocab.txt", BERT_VOCABULARY.sha256).vocab_size == 30522


def test_another_tokenizer_beside_the_vocabulary_is_not_read(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(tmp_path)
    other = tmp_path / "other.txt"
    other.write_text("\n".join([*WORDS[:5], *reversed(WORDS[5:])]))
    load_vocabulary(other).save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path / "vocab.txt")("red car.") == tokenizer("red car.")


def test_the_tokenizer_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    tokenizer = bert_base_tokenizer(tmp_path)
    assert tokenizer.tokenize("A Fire-Hydrant") == ["a", "fire", "-", "hydra", "##nt"]
