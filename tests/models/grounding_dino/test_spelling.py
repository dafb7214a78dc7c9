"""What Grounding DINO reads of a prompt, in the real vocabulary of BERT."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from promptable.models.grounding_dino.spelling import load_vocabulary, spell
from tests.models.grounding_dino.tiny import bert_base_tokenizer, bert_base_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Tokenizer:
    return load_vocabulary(bert_base_vocabulary())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("café", "cafe"),
        ("café", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("t-shirt", "t - shirt"),
        ("bow (weapon)", "bow(weapon)"),
        ("bus", "b\N{ZERO WIDTH SPACE}us"),
        ("bus", "b\N{SOFT HYPHEN}us"),
        ("bus", "\N{ZERO WIDTH NO-BREAK SPACE}bus"),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}ce", "ice"),
        ("Traffic_Light", "traffic  light"),
    ],
)
def test_prompts_that_the_model_cannot_tell_apart_are_spelled_alike(
    one: str, other: str, vocabulary: Tokenizer
) -> None:
    assert spell(one, vocabulary) == spell(other, vocabulary)


@pytest.mark.parametrize(("one", "other"), [("car", "cargo"), ("t-shirt", "tshirt"), ("bow", "bow (weapon)")])
def test_others_are_not(one: str, other: str, vocabulary: Tokenizer) -> None:
    assert spell(one, vocabulary) != spell(other, vocabulary)


@pytest.mark.parametrize(
    "prompt",
    [
        "пешеход",
        "دراجة",
        "αυτοκίνητο",
        "साइकिल",
        "汽车",
        "自行车",
        "くるま",
        "자동차",
        "אופניים",
        "รถยนต์",
        "автобус красный",
        "xe đạp",
    ],
)
def test_a_script_that_the_model_does_not_know_is_refused_with_a_hint(prompt: str, vocabulary: Tokenizer) -> None:
    with pytest.raises(
        ValueError, match=f"prompt '{prompt}' .*: the model reads English: give the label English prompts"
    ):
        spell(prompt, vocabulary)


@pytest.mark.parametrize("prompt", ["QR code", "Fußgänger", "vélo", "x", "PCB", "smørrebrød", "5 °C", "naïve art"])
def test_words_in_latin_letters_are_taken(prompt: str, vocabulary: Tokenizer) -> None:
    assert spell(prompt, vocabulary)


def test_the_pieces_are_those_of_the_models_own_tokenizer(vocabulary: Tokenizer, tmp_path: Path) -> None:
    model = bert_base_tokenizer(tmp_path).backend_tokenizer
    for prompt in ("fire hydrant", "Café (old)", "T-shirt's", "no. 5 bolt", "[SEP]", "\N{SOFT HYPHEN}x"):
        assert spell(prompt, vocabulary) == spell(prompt, model)
