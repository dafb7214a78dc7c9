"""Answered prompts that replicas share through Redis, so that a further click may land on any of them."""

import logging
from collections.abc import Sequence

from promptable.serving.interactor.answered import Answered
from promptable.store.redis_cache import RedisCache

_log = logging.getLogger(__name__)


class SharedAnswers:
    """The second level behind ``Refinement``; ``hw`` is the height and width of the model's low-res logits."""

    def __init__(self, cache: RedisCache, hw: tuple[int, int]) -> None:
        self._cache = cache
        self._hw = hw

    def first_of(self, keys: Sequence[str]) -> tuple[str, Answered] | None:
        """The first of these keys that a replica has answered, with the answer."""
        key = self._cache.first_of(keys) if keys else None
        data = None if key is None else self._cache.get(key)
        return None if key is None or data is None else self._read(key, data)

    def add(self, key: str, answered: Answered) -> None:
        """Keep an answer for the others, unless one of them was quicker."""
        self._cache.add(key, answered.to_bytes())

    def _read(self, key: str, data: bytes) -> tuple[str, Answered] | None:
        try:
            return key, Answered.from_bytes(data, self._hw)
        except ValueError as error:
            _log.warning("an answer in Redis cannot be read and is removed, the prompt starts fresh: %s", error)
            self._cache.remove(key)
            return None
