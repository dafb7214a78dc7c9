"""Immutable entries, each under a key: the tracker stores SAM 2's memories here between two frames."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache, TTLCache

REWIND_SECONDS = 300
"""How long a superseded entry is kept: users who go back, and clients that repeat a request, do so soon."""


class Entry(Protocol):
    """A value that never changes, so that any number of readers may share it."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes in this process, in bytes."""

    def to_bytes(self) -> bytes:
        """The same value in a form that other processes can read."""


E = TypeVar("E", bound=Entry)


class EntryStore(Protocol[E]):
    """A store of entries that are written once and read many times, until they expire."""

    def put(self, entries: Mapping[str, E], renewed: Collection[str] = (), superseded: Collection[str] = ()) -> None:
        """Store new entries.

        ``renewed`` and ``superseded`` are keys of older entries: the lifetime of renewed ones starts again, and
        superseded ones expire after ``REWIND_SECONDS``.
        """

    def get(self, keys: Collection[str]) -> Mapping[str, E]:
        """Those of the entries that are still kept, by key."""


class InProcessStore(Generic[E]):
    """Entries in the memory of this process, at most ``capacity_bytes``. Threads may share it.

    Entries are kept as they are, so reading one costs nothing. Superseded entries are dropped first: after
    ``REWIND_SECONDS``, or earlier when their bytes are needed. Then the least recently used entries are dropped.
    ``clock`` returns seconds.
    """

    def __init__(self, capacity_bytes: int, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._now = clock()
        self._needed: LRUCache[str, E] = LRUCache(capacity_bytes, getsizeof=_size)
        self._superseded: TTLCache[str, E] = TTLCache(
            capacity_bytes, REWIND_SECONDS, timer=lambda: self._now, getsizeof=_size
        )
        self._lock = Lock()

    def put(self, entries: Mapping[str, E], renewed: Collection[str] = (), superseded: Collection[str] = ()) -> None:
        """Store new entries, except those larger than the store. ``renewed`` older entries count as just used."""
        with self._at_one_time():
            self._superseded.update(self._taken_out(superseded))
            for key, entry in {**self._taken_out(renewed), **entries}.items():
                if entry.nbytes <= self._needed.maxsize:
                    self._needed[key] = entry
            while self._superseded.currsize > self._needed.maxsize - self._needed.currsize:
                self._superseded.popitem()

    def get(self, keys: Collection[str]) -> dict[str, E]:
        """Those of the entries that are still kept, by key."""
        with self._at_one_time():
            return {key: entry for key in keys if (entry := self._found(key)) is not None}

    def __len__(self) -> int:
        """The number of stored entries, superseded ones included."""
        with self._at_one_time():
            return len(self._needed) + len(self._superseded)

    @contextmanager
    def _at_one_time(self) -> Iterator[None]:
        """Hold the lock; for the code inside time stands still, so that no entry expires between two looks at it."""
        with self._lock:
            self._now = self._clock()
            yield

    def _found(self, key: str) -> E | None:
        entry = self._needed.get(key)
        return self._superseded.get(key) if entry is None else entry

    def _taken_out(self, keys: Collection[str]) -> dict[str, E]:
        return {key: entry for key in keys if (entry := self._taken(key)) is not None}

    def _taken(self, key: str) -> E | None:
        return self._needed.pop(key, self._superseded.pop(key, None))


def _size(entry: Entry) -> int:
    return entry.nbytes
