"""What there is to remember of the answer to one prompt."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from promptable.models.segmentation.segmenter import Prompt

Logits = NDArray[np.float32]
"""Low-res logits, float32 [h, w]."""

_LOGITS, _START = "logits", "start"

_MOST_CLICKS_MORE = 8


@dataclass(frozen=True, eq=False)
class Answered:
    """The logits of an answer, and those that went into it as mask prompt, if any: they give the same answer again."""

    logits: Logits
    start: Logits | None

    @property
    def nbytes(self) -> int:
        """Memory that the logits hold, in bytes."""
        return self.logits.nbytes + (0 if self.start is None else self.start.nbytes)

    def to_bytes(self) -> bytes:
        """In safetensors form, exact to the bit."""
        return save({_LOGITS: self.logits} | ({} if self.start is None else {_START: self.start}))

    @classmethod
    def from_bytes(cls, data: bytes, hw: tuple[int, int]) -> "Answered":
        """Read what ``to_bytes`` wrote. Raises ValueError for anything else than finite logits of ``hw``."""
        try:
            named = load(data)
            logits, start = named.pop(_LOGITS), named.pop(_START, None)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"logits: expected safetensors, got {len(data)} bytes: {error!r}") from error
        if named or not all(_is_finite(each, hw) for each in (logits, start) if each is not None):
            raise ValueError(f"logits: expected finite ones of float32 {list(hw)}, got others")
        return cls(logits, start)


def _is_finite(logits: NDArray[np.generic], hw: tuple[int, int]) -> bool:
    return logits.dtype == np.float32 and logits.shape == hw and bool(np.isfinite(logits).all())


def key_of(digest: str, prompt: Prompt) -> str:
    """The name of exactly these clicks and this box on the picture of this digest."""
    # A click has 12 bytes and the box 16, so that no two prompts have the same ones.
    box = b"" if prompt.box_xyxy is None else prompt.box_xyxy.tobytes()
    given = prompt.points_xy.tobytes() + prompt.labels.tobytes() + box
    return f"{digest}:{blake2b(given, digest_size=16).hexdigest()}"


def shorter(prompt: Prompt) -> Iterator[Prompt]:
    """The prompts that this one may have grown from, the longest first: without its last positive or negative clicks.

    Up to 8 clicks are taken off, all of them only from a box.
    """
    positive, negative = np.flatnonzero(prompt.labels == 1), np.flatnonzero(prompt.labels == 0)
    for fewer in range(1, min(_MOST_CLICKS_MORE, len(prompt.labels) - (prompt.box_xyxy is None)) + 1):
        for fewer_negative in range(max(0, fewer - len(positive)), min(fewer, len(negative)) + 1):
            fewer_positive = fewer - fewer_negative
            gone = [*positive[len(positive) - fewer_positive :], *negative[len(negative) - fewer_negative :]]
            yield replace(
                prompt, points_xy=np.delete(prompt.points_xy, gone, axis=0), labels=np.delete(prompt.labels, gone)
            )
