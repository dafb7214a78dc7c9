"""Prompts as Grounding DINO reads them: cleaned, spelled in BERT's tokens, and packed into captions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import BertTokenizerFast

from promptable.models.grounding_dino.spelling import MAX_TOKENS, spell
from promptable.prompt_text import normalise


@dataclass(frozen=True)
class Caption:
    """Prompts joined as upstream wants them, ``a . b . c .``, in token ids that begin with [CLS] and end with [SEP].

    ``prompt_indices`` point into the sequence that was packed; ``spans`` say where the tokens of each lie in
    ``input_ids``, [start, stop).
    """

    input_ids: tuple[int, ...]
    prompt_indices: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def pack(prompts: Sequence[str], tokenizer: BertTokenizerFast, max_tokens: int = MAX_TOKENS) -> list[Caption]:
    """Spread the prompts over as few captions as hold them, all about equally full, never splitting one.

    A prompt's score depends on which other prompts its caption has, not on their order: they compete for the picture's
    attention, so that scores are higher in a short caption and confusable prompts are best read together. Hence the
    even filling, and the alphabetical order, in which prompts that begin alike are neighbours and which does not depend
    on the order of the list. Raises ValueError as ``spell`` does, and for no prompts at all.
    """
    if not prompts:
        raise ValueError("expected at least one prompt, got none")
    spelled = [spell(prompt, tokenizer.backend_tokenizer, max_tokens) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda index: normalise(prompts[index]))
    return [_caption(group, spelled, tokenizer) for group in _even_groups(order, spelled, max_tokens)]


def _even_groups(order: Sequence[int], spelled: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
    """The fewest groups of neighbours that fit, and of those the ones whose fullest group has the fewest tokens."""
    fewest = len(list(_groups(order, spelled, max_tokens)))
    longest = max(len(ids) for ids in spelled) + 3
    tried = (list(_groups(order, spelled, tokens)) for tokens in range(longest, max_tokens + 1))
    return next(groups for groups in tried if len(groups) == fewest)


def _groups(order: Sequence[int], spelled: Sequence[Sequence[int]], max_tokens: int) -> Iterator[list[int]]:
    """Neighbours that fit together: each needs its tokens and a ".", all of them [CLS] and [SEP]."""
    group: list[int] = []
    used = 2
    for index in order:
        length = len(spelled[index])
        if used + length + 1 > max_tokens:
            yield group
            group, used = [], 2
        group.append(index)
        used += length + 1
    yield group


def _caption(group: Sequence[int], spelled: Sequence[Sequence[int]], tokenizer: BertTokenizerFast) -> Caption:
    begin, dot, end = tokenizer.convert_tokens_to_ids(["[CLS]", ".", "[SEP]"])
    ids = [begin]
    spans = []
    for index in group:
        spans.append((len(ids), len(ids) + len(spelled[index])))
        ids += [*spelled[index], dot]
    return Caption((*ids, end), tuple(group), tuple(spans))
