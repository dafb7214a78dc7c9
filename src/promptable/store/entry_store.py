"""Immutable entries of bytes by key: where the tracker keeps SAM 2's memories between two frames."""

from collections.abc import Callable, Collection, Mapping
from threading import Lock
from time import monotonic
from typing import Protocol

from cachetools import LRUCache, TTLCache

REWIND_SECONDS = 300
"""How long an entry is kept that newer states no longer need: who goes back or repeats a request does so soon."""


class EntryStore(Protocol):
    """Entries that are written once and read many times, until they are too old."""

    def put(
        self, entries: Mapping[str, bytes], renewed: Collection[str] = (), superseded: Collection[str] = ()
    ) -> None:
        """Keep new entries; of older ones, by their keys, some for as long again and some for ``REWIND_SECONDS``."""

    def get(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """Those of the entries that are still kept, by key."""


class InProcessStore:
    """Entries in this process, bounded in bytes. Threads may share it.

    The first to go are those that were superseded, after ``REWIND_SECONDS`` or where the bytes are needed, then the
    least recently used. ``clock`` gives seconds.
    """

    def __init__(self, capacity_bytes: int, clock: Callable[[], float] = monotonic) -> None:
        self._needed: LRUCache[str, bytes] = LRUCache(capacity_bytes, getsizeof=len)
        self._superseded: TTLCache[str, bytes] = TTLCache(capacity_bytes, REWIND_SECONDS, clock, getsizeof=len)
        self._lock = Lock()

    def put(
        self, entries: Mapping[str, bytes], renewed: Collection[str] = (), superseded: Collection[str] = ()
    ) -> None:
        """Keep new entries; an entry larger than the store is not kept. Older ones count as just used or superseded."""
        with self._lock:
            self._superseded.update(self._taken_out(superseded))
            for key, entry in {**self._taken_out(renewed), **entries}.items():
                if len(entry) <= self._needed.maxsize:
                    self._needed[key] = entry
            while self._superseded.currsize > self._needed.maxsize - self._needed.currsize:
                self._superseded.popitem()

    def get(self, keys: Collection[str]) -> dict[str, bytes]:
        """Those of the entries that are still kept, by key."""
        with self._lock:
            return {key: entry for key in keys if (entry := self._found(key)) is not None}

    def __len__(self) -> int:
        """How many entries are kept."""
        with self._lock:
            return len(self._needed) + len(self._superseded)

    def _found(self, key: str) -> bytes | None:
        return self._needed.get(key, self._superseded.get(key))

    def _taken_out(self, keys: Collection[str]) -> dict[str, bytes]:
        taken = {key: entry for key in keys if (entry := self._found(key)) is not None}
        for key in taken:
            self._needed.pop(key, None)
            self._superseded.pop(key, None)
        return taken
