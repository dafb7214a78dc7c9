"""What the model answered to the prompts before, so that a further click refines that answer as SAM was trained to."""

from collections.abc import Iterator
from dataclasses import replace
from threading import Lock

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from promptable.models.segmenter import Prompt

_CAPACITY_BYTES = 64 * 2**20

Key = tuple[str, bytes, bytes, bytes]


class Refinement:
    """Low-res logits of recent answers, by the picture's digest and the exact prompt that they answered.

    A prompt with one click more than an answered one on the same picture goes on from that answer's logits; a moved or
    removed click matches nothing and starts fresh. Nothing belongs to a user, so two annotators cannot mix: those with
    the same clicks get the same logits.
    """

    def __init__(self) -> None:
        self._logits: LRUCache[Key, NDArray[np.float32]] = LRUCache(_CAPACITY_BYTES, getsizeof=lambda a: a.nbytes)
        self._lock = Lock()

    def continued(self, digest: str, prompt: Prompt) -> Prompt:
        """The prompt, with the logits of the answer that it refines where there is one."""
        with self._lock:
            known = (self._logits.get(_key(digest, shorter)) for shorter in _one_click_less(prompt))
            logits = next((found for found in known if found is not None), None)
        return prompt if logits is None else replace(prompt, low_res_logits=logits)

    def remember(self, digest: str, prompt: Prompt, low_res_logits: NDArray[np.float32]) -> None:
        """Keep the logits [h, w] of the answer to this prompt."""
        with self._lock:
            self._logits[_key(digest, prompt)] = low_res_logits


def _key(digest: str, prompt: Prompt) -> Key:
    box = b"" if prompt.box_xyxy is None else prompt.box_xyxy.tobytes()
    return digest, prompt.points_xy.tobytes(), prompt.labels.tobytes(), box


def _one_click_less(prompt: Prompt) -> Iterator[Prompt]:
    """The prompts that this one may have grown from: without its last positive, or without its last negative point."""
    for label in (1, 0):
        clicks = np.flatnonzero(prompt.labels == label)
        if len(clicks) and (len(prompt.labels) > 1 or prompt.box_xyxy is not None):
            yield replace(
                prompt,
                points_xy=np.delete(prompt.points_xy, clicks[-1], axis=0),
                labels=np.delete(prompt.labels, clicks[-1]),
            )
