import re
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from promptable.models.grounding_dino.captions import Caption, pack
from promptable.models.grounding_dino.spelling import MAX_TOKENS
from promptable.prompt_text import normalise
from tests.models.grounding_dino.tiny import bert_base_tokenizer, word_tokenizer

SPELLED = {
    "red circle": ["red", "circle"],
    "blue circle": ["blue", "circle"],
    "car": ["car"],
    "cargo": ["cargo"],
    "fire hydrant": ["fire", "hydra", "##nt"],
    "Dogs": ["dogs"],
    "RIVETS": ["ri", "##vet", "##s"],
    "T-shirt": ["t", "-", "shirt"],
    "man's hat": ["man", "'", "s", "hat"],
    "café": ["cafe"],
    "  two   words ": ["two", "words"],
    "dog.": ["dog"],
    "No. 5 bolt": ["no", "5", "bolt"],
    "what?": ["what"],
    "traffic_light": ["traffic", "light"],
    "[SEP]": ["[", "sep", "]"],
}


@pytest.fixture(scope="module")
def bert_base(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizerFast:
    return bert_base_tokenizer(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizerFast:
    return word_tokenizer(tmp_path_factory.mktemp("words"))


def spelled(caption: Caption, tokenizer: BertTokenizerFast) -> list[list[str]]:
    return [tokenizer.convert_ids_to_tokens(caption.input_ids[start:stop]) for start, stop in caption.spans]


def test_each_span_holds_the_tokens_of_its_prompt(bert_base: BertTokenizerFast) -> None:
    (caption,) = pack(list(SPELLED), bert_base)
    assert [list(SPELLED)[index] for index in caption.prompt_indices] == sorted(SPELLED, key=normalise)
    assert spelled(caption, bert_base) == [list(SPELLED.values())[index] for index in caption.prompt_indices]


def test_tokens_are_those_of_the_caption_that_upstream_reads(bert_base: BertTokenizerFast) -> None:
    prompts = ["red circle", "Fire Hydrants", "t-shirt", "cargo"]
    (caption,) = pack(prompts, bert_base)
    assert list(caption.input_ids) == bert_base("Cargo . fire hydrants . Red circle . T-shirt .").input_ids


@pytest.mark.parametrize(("count", "captions"), [(1, 1), (20, 1), (80, 1), (84, 1), (85, 2), (365, 5)])
def test_any_number_of_prompts_is_packed(words: BertTokenizerFast, count: int, captions: int) -> None:
    packed = pack(["red circle"] * count, words)
    assert len(packed) == captions
    assert sorted(prompt for caption in packed for prompt in caption.prompt_indices) == list(range(count))
    assert max(len(caption.input_ids) for caption in packed) <= MAX_TOKENS


COCO_NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, "
    "teddy bear, hair drier, toothbrush"
)


def test_the_names_of_coco_fit_one_caption(bert_base: BertTokenizerFast) -> None:
    names = COCO_NAMES.split(", ")
    assert len(names) == 80
    (caption,) = pack(names, bert_base)
    assert sorted(caption.prompt_indices) == list(range(80))
    assert list(caption.input_ids) == bert_base(" . ".join(sorted(names)) + " .").input_ids
    assert len(caption.input_ids) <= MAX_TOKENS


_LISTS = st.lists(
    st.lists(st.sampled_from(["red", "stars", "cargo", "-"]), min_size=1, max_size=9).map(" ".join), min_size=1
)


@given(_LISTS, st.integers(21, 60))
def test_no_prompt_is_split_and_captions_are_few_and_even(
    words: BertTokenizerFast, prompts: list[str], max_tokens: int
) -> None:
    packed = pack(prompts, words, max_tokens)
    read = [prompt for caption in packed for prompt in caption.prompt_indices]
    assert sorted(read) == list(range(len(prompts)))
    for caption in packed:
        expected = words(" . ".join(prompts[index] for index in caption.prompt_indices) + " .").input_ids
        assert list(caption.input_ids) == expected
        assert len(expected) <= max_tokens
    fullest = max(len(caption.input_ids) for caption in packed)
    for caption, following in pairwise(packed):
        start, stop = following.spans[0]
        assert len(caption.input_ids) + stop - start + 1 > fullest, "could be read one caption earlier"
    if fullest > max(len(words(prompt).input_ids) for prompt in prompts) + 1:
        assert len(pack(prompts, words, fullest - 1)) > len(packed), "could be spread more evenly"


def test_a_caption_of_few_leftover_prompts_is_not_made(words: BertTokenizerFast) -> None:
    packed = pack(["red circle"] * 85, words)
    assert [len(caption.prompt_indices) for caption in packed] == [43, 42]


@given(_LISTS, st.randoms())
def test_captions_do_not_depend_on_the_order_of_the_list(
    words: BertTokenizerFast, prompts: list[str], random: Random
) -> None:
    shuffled = random.sample(prompts, len(prompts))
    ids = [{caption.input_ids for caption in pack(each, words, 30)} for each in (prompts, shuffled)]
    assert ids[0] == ids[1]


@given(st.text(max_size=12))
def test_no_text_breaks_the_structure_of_a_caption(bert_base: BertTokenizerFast, text: str) -> None:
    try:
        (caption,) = pack(["dog", text, "cat"], bert_base)
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017
        return
    tokens = bert_base.convert_ids_to_tokens(caption.input_ids)
    assert [tokens[0], tokens[-1]] == ["[CLS]", "[SEP]"]
    assert [index for index, text in enumerate(tokens) if text == "."] == [stop for _, stop in caption.spans]
    assert not {"?", "[CLS]", "[SEP]", "[PAD]", "[UNK]"} & set(tokens[1:-1])


@pytest.mark.parametrize("prompt", ["", "   ", ".", " . ? ", "\n", "_"])
def test_empty_prompts_are_named(prompt: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"prompt {prompt!r} is empty")):
        normalise(prompt)


def test_no_prompts_at_all(words: BertTokenizerFast) -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        pack([], words)


@pytest.mark.parametrize("prompt", ["red zebra", "\N{SLIGHTLY SMILING FACE}", "\u200b"])
def test_prompts_outside_the_vocabulary_are_named(words: BertTokenizerFast, prompt: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"prompt {prompt!r}") + ".*vocabulary"):
        pack(["dog", prompt], words)


def test_a_prompt_may_fill_a_caption_but_no_more(words: BertTokenizerFast) -> None:
    (caption,) = pack(["star " * 253], words)
    assert len(caption.input_ids) == MAX_TOKENS
    with pytest.raises(ValueError, match="254 tokens, the model reads at most 253"):
        pack(["dog", "star " * 254], words)
