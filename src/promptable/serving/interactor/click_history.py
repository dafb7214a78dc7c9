"""Earlier predictions on a picture. With their logits a further click refines the mask, as in SAM's training."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from threading import Lock

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from promptable.models.segmentation.segmenter import Prompt
from promptable.store.redis_cache import RedisCache

_log = logging.getLogger(__name__)

Logits = NDArray[np.float32]
"""Low-res logits, float32 [h, w]."""

_LOGITS, _MASK_INPUT = "logits", "mask_input"
_CAPACITY_BYTES = 64 * 2**20
_MOST_CLICKS_MORE = 8


@dataclass(frozen=True, eq=False)
class PastPrediction:
    """The answer to an earlier prompt: its low-res ``logits``, and the ``mask_input`` of that prompt, if it had one."""

    logits: Logits
    mask_input: Logits | None

    @property
    def nbytes(self) -> int:
        """Memory that the logits hold, in bytes."""
        return self.logits.nbytes + (0 if self.mask_input is None else self.mask_input.nbytes)

    def to_bytes(self) -> bytes:
        """The arrays as safetensors, exact to the bit."""
        return save({_LOGITS: self.logits} | ({} if self.mask_input is None else {_MASK_INPUT: self.mask_input}))

    @classmethod
    def from_bytes(cls, data: bytes, hw: tuple[int, int]) -> "PastPrediction":
        """Read what ``to_bytes`` wrote. Raises ValueError unless the logits are finite, float32 and of shape ``hw``."""
        try:
            named = load(data)
            logits, mask_input = named.pop(_LOGITS), named.pop(_MASK_INPUT, None)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"logits: expected safetensors, got {len(data)} bytes: {error!r}") from error
        if named or not all(_is_finite(each, hw) for each in (logits, mask_input) if each is not None):
            raise ValueError(f"logits: expected finite ones of float32 {list(hw)}, got others")
        return cls(logits, mask_input)


class SharedHistory:
    """The click history of all replicas, in Redis; ``hw`` is the height and width of the model's low-res logits."""

    def __init__(self, cache: RedisCache, hw: tuple[int, int]) -> None:
        self._cache = cache
        self._hw = hw

    def first_of(self, keys: Sequence[str]) -> tuple[str, PastPrediction] | None:
        """The first of these keys that a replica knows, with what it answered."""
        key = self._cache.first_of(keys) if keys else None
        data = None if key is None else self._cache.get(key)
        return None if key is None or data is None else self._read(key, data)

    def add(self, key: str, click: PastPrediction) -> None:
        """Keep it for the others, unless one of them was quicker."""
        self._cache.add(key, click.to_bytes())

    def _read(self, key: str, data: bytes) -> tuple[str, PastPrediction] | None:
        try:
            return key, PastPrediction.from_bytes(data, self._hw)
        except ValueError as error:
            _log.warning("a click in Redis cannot be read and is removed, the prompt starts fresh: %s", error)
            self._cache.remove(key)
            return None


class ClickHistory:
    """Recent predictions, by the picture's digest and the exact prompt.

    The mask input of a prompt are the previous logits: those of the longest earlier prompt whose clicks it contains. A
    prompt that was answered before gets the same mask input as then, so that its mask is the same again. The first
    answer to a prompt is kept and never replaced. Entries do not belong to users: two annotators share a prediction
    only if both have made exactly the same clicks.
    """

    def __init__(self, shared: SharedHistory | None = None) -> None:
        self._clicks: LRUCache[str, PastPrediction] = LRUCache(_CAPACITY_BYTES, getsizeof=lambda click: click.nbytes)
        self._lock = Lock()
        self._shared = shared

    def with_mask_input(self, digest: str, prompt: Prompt) -> Prompt:
        """The prompt with the previous logits as its mask input; unchanged if there are none."""
        keys = [_key(digest, each) for each in (prompt, *_shorter(prompt))]
        found = self._first_of(keys)
        if found is None:
            return prompt
        key, click = found
        return replace(prompt, mask_input=click.mask_input if key == keys[0] else click.logits)

    def remember(self, digest: str, prompt: Prompt, logits: Logits) -> None:
        """Store the low-res logits that answer ``prompt``, a result of ``with_mask_input``, unless they are known."""
        key, click = _key(digest, prompt), PastPrediction(logits, prompt.mask_input)
        if self._keep(key, click) and self._shared is not None:
            self._shared.add(key, click)

    def _first_of(self, keys: Sequence[str]) -> tuple[str, PastPrediction] | None:
        """The first of the keys with a prediction, in this process or in Redis. Redis is asked only about the keys
        before the first one that this process knows."""
        local = self._local(keys)
        earlier = keys if local is None else keys[: keys.index(local[0])]
        shared = None if self._shared is None else self._shared.first_of(earlier)
        if shared is not None:
            self._keep(*shared)
        return shared or local

    def _local(self, keys: Sequence[str]) -> tuple[str, PastPrediction] | None:
        with self._lock:
            known = ((key, self._clicks.get(key)) for key in keys)
            return next(((key, click) for key, click in known if click is not None), None)

    def _keep(self, key: str, click: PastPrediction) -> bool:
        with self._lock:
            is_new = key not in self._clicks
            if is_new:
                self._clicks[key] = click
            return is_new


def _is_finite(logits: NDArray[np.generic], hw: tuple[int, int]) -> bool:
    return logits.dtype == np.float32 and logits.shape == hw and bool(np.isfinite(logits).all())


def _key(digest: str, prompt: Prompt) -> str:
    """The key for exactly these clicks and this box on the picture with this digest."""
    # A click has 12 bytes and a box 16, so that two different prompts never have the same bytes.
    box = b"" if prompt.box_xyxy is None else prompt.box_xyxy.tobytes()
    given = prompt.points_xy.tobytes() + prompt.labels.tobytes() + box
    return f"{digest}:{blake2b(given, digest_size=16).hexdigest()}"


def _shorter(prompt: Prompt) -> Iterator[Prompt]:
    """The earlier prompts that this one may extend, longest first: without its last positive or negative clicks.

    Up to 8 clicks are left out; all clicks only if the prompt has a box.
    """
    positive, negative = np.flatnonzero(prompt.labels == 1), np.flatnonzero(prompt.labels == 0)
    for fewer in range(1, min(_MOST_CLICKS_MORE, len(prompt.labels) - (prompt.box_xyxy is None)) + 1):
        for fewer_negative in range(max(0, fewer - len(positive)), min(fewer, len(negative)) + 1):
            fewer_positive = fewer - fewer_negative
            gone = [*positive[len(positive) - fewer_positive :], *negative[len(negative) - fewer_negative :]]
            yield replace(
                prompt, points_xy=np.delete(prompt.points_xy, gone, axis=0), labels=np.delete(prompt.labels, gone)
            )
