"""Where the tracker keeps what it remembers between two frames: immutable entries of bytes by key."""

from collections.abc import Collection, Mapping
from threading import Lock
from typing import Protocol

from cachetools import LRUCache

from promptable.errors import BadRequestError


class StateExpiredError(BadRequestError):
    """An entry that a state needs is no longer kept: tracking has to start again from this frame."""

    def __init__(self) -> None:
        super().__init__("states: a state has expired, start tracking again from this frame")


class MemoryStore(Protocol):
    """Entries that are written once and read many times, until they are too old."""

    def put(self, entries: Mapping[str, bytes], renewed: Collection[str] = ()) -> None:
        """Keep new entries, and older ones, by their keys, for as long again."""

    def get(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """The entries by key. Raises StateExpiredError where one is no longer kept."""


class InProcessStore:
    """Entries in this process, bounded in bytes; the least recently used go first. Threads may share it."""

    def __init__(self, capacity_bytes: int) -> None:
        self._entries: LRUCache[str, bytes] = LRUCache(capacity_bytes, getsizeof=len)
        self._lock = Lock()

    def put(self, entries: Mapping[str, bytes], renewed: Collection[str] = ()) -> None:
        """Keep new entries; an entry larger than the store is not kept. Older ones count as just used."""
        self.find(renewed)
        with self._lock:
            for key, entry in entries.items():
                if len(entry) <= self._entries.maxsize:
                    self._entries[key] = entry

    def get(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """The entries by key. Raises StateExpiredError where one is no longer kept."""
        found = self.find(keys)
        if found.keys() != set(keys):
            raise StateExpiredError
        return found

    def find(self, keys: Collection[str]) -> dict[str, bytes]:
        """Those of the entries that are kept."""
        with self._lock:
            return {key: entry for key in keys if (entry := self._entries.get(key)) is not None}
