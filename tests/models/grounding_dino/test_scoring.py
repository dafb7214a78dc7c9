"""Which label a box gets, where the phrases that upstream decodes from its tokens are of no label, or of a wrong one.

Logits are written by hand: sigmoids of the caption's tokens, as a model sure of some words and unsure of others gives.
"""

from dataclasses import dataclass

import pytest
import torch
from groundingdino.util.utils import get_phrases_from_posmap
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import BertTokenizerFast

from promptable.models.grounding_dino.captions import Caption, pack
from promptable.models.grounding_dino.detector import span_scores
from tests.models.grounding_dino.tiny import bert_base_tokenizer

BOX_THRESHOLD, TEXT_THRESHOLD = 0.35, 0.25  # upstream's defaults


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizerFast:
    return bert_base_tokenizer(tmp_path_factory.mktemp("bert"))


@dataclass(frozen=True)
class Case:
    """Prompts, the tokens that light up with their sigmoids, the phrase that upstream decodes, and the right prompt."""

    prompts: tuple[str, ...]
    lit: dict[str, float]
    phrase: str
    right: str


CASES = {
    "shared words": Case(
        ("red circle", "blue circle"), {"red": 0.8, "circle": 0.7}, "circle red circle", "red circle"
    ),
    "shared words, both colours seen": Case(
        ("red circle", "blue circle"), {"red": 0.6, "blue": 0.3, "circle": 0.7}, "blue circle red circle", "red circle"
    ),
    "one sub-word missed": Case(
        ("fire hydrant", "fire truck"), {"fire": 0.6, "hydra": 0.7, "##nt": 0.1, "truck": 0.1}, "fire hydra fire",
        "fire hydrant",
    ),
    "only a sub-word's tail": Case(
        ("squishy", "solid"), {"sq": 0.2, "##uis": 0.24, "##hy": 0.7, "solid": 0.3}, "solidhy", "squishy"
    ),
    "punctuation": Case(
        ("t-shirt", "shirt"), {"t": 0.5, "-": 0.4, "shirt": 0.6}, "shirt t - shirt", "shirt"
    ),
    "case": Case(("Dog", "CAT"), {"dog": 0.6}, "dog", "Dog"),
    "a label within another": Case(("car", "cargo", "car wheel"), {"cargo": 0.6, "car": 0.2}, "cargo", "cargo"),
    "a word within another label": Case(
        ("car", "car wheel"), {"car": 0.45, "wheel": 0.8}, "car car wheel", "car wheel"
    ),
    "the whole rather than its part": Case(("car", "car wheel"), {"car": 0.7, "wheel": 0.1}, "car car", "car"),
    "plural": Case(("rivet", "rivets"), {"ri": 0.5, "##vet": 0.5, "##s": 0.6}, "rivet rivets", "rivets"),
}  # fmt: skip


def logits_of(caption: Caption, lit: dict[str, float], tokenizer: BertTokenizerFast) -> Tensor:
    """Token logits [1, T]; what is not lit has a sigmoid of 0.02."""
    tokens = tokenizer.convert_ids_to_tokens(caption.input_ids)
    return torch.tensor([[lit.get(token, 0.02) for token in tokens]]).logit()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_best_prompt_names_the_label_where_a_decoded_phrase_does_not(
    case: Case, tokenizer: BertTokenizerFast
) -> None:
    (caption,) = pack(case.prompts, tokenizer)
    logits = logits_of(caption, case.lit, tokenizer)
    scores = span_scores(logits, caption.spans)[0]
    assert case.prompts[caption.prompt_indices[int(scores.argmax())]] == case.right
    inputs = {"input_ids": list(caption.input_ids)}
    phrase = get_phrases_from_posmap(logits[0].sigmoid() > TEXT_THRESHOLD, inputs, tokenizer)
    assert phrase == case.phrase
    assert phrase not in case.prompts or phrase == case.right


def test_a_score_is_the_mean_over_the_prompts_own_tokens(tokenizer: BertTokenizerFast) -> None:
    (caption,) = pack(["fire hydrant", "cat"], tokenizer)
    lit = {"cat": 0.9, "fire": 0.3, "hydra": 0.6, "##nt": 0.9, ".": 0.99, "[CLS]": 0.99}
    torch.testing.assert_close(
        span_scores(logits_of(caption, lit, tokenizer), caption.spans), torch.tensor([[0.9, 0.6]])
    )


@given(st.lists(st.floats(-8, 8), min_size=10, max_size=10))
def test_what_reaches_a_threshold_passes_upstreams_box_threshold_too(logits: list[float]) -> None:
    tokens = torch.tensor([logits])
    scores = span_scores(tokens, [(1, 2), (3, 6), (7, 9)])
    assert scores.max() <= tokens.sigmoid().max() + 1e-6
    alone = span_scores(tokens, [(4, 5)])
    torch.testing.assert_close(alone, tokens[:, 4:5].sigmoid(), msg="one token: the very number that upstream reports")
