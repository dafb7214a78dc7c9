"""Prompts in the pieces of BERT's vocabulary: what Grounding DINO reads of them. Without torch."""

from pathlib import Path

from tokenizers import BertWordPieceTokenizer, Encoding, Tokenizer

from promptable.prompt_text import normalise

MAX_TOKENS = 256  # upstream's max_text_len; what a caption has beyond it, upstream cuts off in silence
_REMEDY = "the model reads English: give the label English prompts, beside its name"


def load_vocabulary(path: Path) -> Tokenizer:
    """The uncased tokenizer of a ``vocab.txt``. Raises FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    tokenizer: Tokenizer = BertWordPieceTokenizer(str(path), lowercase=True)._tokenizer
    return tokenizer


def spell(prompt: str, tokenizer: Tokenizer, max_tokens: int = MAX_TOKENS) -> tuple[int, ...]:
    """The prompt's token ids, without separators: equal for two prompts that the model cannot tell apart.

    Raises ValueError that names a prompt which is empty, too long for a caption, not in the vocabulary, or in a script
    of which the vocabulary has little more than the letters.
    """
    encoding = tokenizer.encode(normalise(prompt), add_special_tokens=False)
    if not encoding.ids or tokenizer.token_to_id("[UNK]") in encoding.ids:
        raise ValueError(f"prompt {prompt!r} has characters or words that are not in the model's vocabulary: {_REMEDY}")
    if _letter_by_letter(encoding):
        raise ValueError(f"prompt {prompt!r} is letters to the model, not words: {_REMEDY}")
    if len(encoding.ids) > max_tokens - 3:
        raise ValueError(f"prompt {prompt!r} has {len(encoding.ids)} tokens, the model reads at most {max_tokens - 3}")
    return tuple(encoding.ids)


def _letter_by_letter(encoding: Encoding) -> bool:
    """Whether most letters are pieces of their own, in a script other than that of English ("QR code" is a prompt)."""
    pieces = [token.removeprefix("##") for token in encoding.tokens]
    words = [piece for piece in pieces if piece.isalpha()]
    alone = sum(len(piece) == 1 for piece in words)
    return not all(piece.isascii() for piece in words) and 2 * alone > sum(map(len, words))
