"""Where the tracker keeps its memory entries between two frames."""

import secrets
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Protocol

from cachetools import LRUCache

from promptable.errors import BadRequestError

_ID_BYTES = 12


class StateExpiredError(BadRequestError):
    """An entry that a state names is no longer kept: tracking has to start again from this frame."""


class MemoryStore(Protocol):
    """Immutable entries of bytes by fresh id."""

    def put(self, entries: Sequence[bytes]) -> list[str]:
        """Keep the entries and return their ids, in the same order."""

    def get(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """The entries by id. Raises StateExpiredError where one is no longer kept."""


class InProcessStore:
    """Entries in this process, bounded in bytes; the least recently used go first."""

    def __init__(self, capacity_bytes: int) -> None:
        self._entries: LRUCache[str, bytes] = LRUCache(capacity_bytes, getsizeof=len)
        self._lock = Lock()

    def put(self, entries: Sequence[bytes]) -> list[str]:
        """Keep the entries and return their ids, in the same order."""
        ids = [secrets.token_urlsafe(_ID_BYTES) for _ in entries]
        with self._lock:
            for entry_id, entry in zip(ids, entries, strict=True):
                self._entries[entry_id] = entry
        return ids

    def get(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """The entries by id. Raises StateExpiredError where one is no longer kept."""
        with self._lock:
            found = {entry_id: entry for entry_id in ids if (entry := self._entries.get(entry_id)) is not None}
        if len(found) < len(set(ids)):
            raise StateExpiredError("states: a state has expired, start tracking again from this frame")
        return found
