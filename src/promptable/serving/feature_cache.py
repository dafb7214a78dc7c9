"""Recent pictures' image features, found again by the pictures' content."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache


class Sized(Protocol):
    """Anything that knows how many bytes it holds."""

    @property
    def nbytes(self) -> int: ...


F = TypeVar("F", bound=Sized)


class FeatureCache(Generic[F]):
    """Least recently used features, bounded in bytes; safe under parallel requests, which encode a new picture once.

    Encoding holds the lock: two encodings at a time would only share one device.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._entries: LRUCache[str, F] = LRUCache(capacity_bytes, getsizeof=lambda features: features.nbytes)
        self._lock = Lock()

    def get(self, digest: str, encode: Callable[[], F]) -> F:
        """Features of the picture with this content digest; ``encode()`` makes them where they are not at hand."""
        with self._lock:
            features = self._entries.get(digest)
            if features is None:
                features = encode()
                if features.nbytes <= self._entries.maxsize:
                    self._entries[digest] = features
            return features
