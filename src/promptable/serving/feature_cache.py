"""A cache of the image features of recent pictures, by a digest of the picture's content."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache


class Sized(Protocol):
    """An object that reports its size in bytes."""

    @property
    def nbytes(self) -> int: ...


F = TypeVar("F", bound=Sized)


class FeatureCache(Generic[F]):
    """An LRU cache of at most ``capacity_bytes``. Threads may share it; parallel requests encode a new picture once.

    One picture is encoded at a time, since two would only share one device. Cached features can be read meanwhile.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._entries: LRUCache[str, F] = LRUCache(capacity_bytes, getsizeof=lambda features: features.nbytes)
        self._lock = Lock()
        self._encoding = Lock()

    def find(self, digest: str) -> F | None:
        """The cached features of the picture with this digest, or None."""
        with self._lock:
            return self._entries.get(digest)

    def get(self, digest: str, encode: Callable[[], F]) -> F:
        """The features of the picture with this digest; ``encode()`` computes them if they are not cached."""
        features = self.find(digest)
        if features is not None:
            return features
        with self._encoding:
            features = self.find(digest)
            return self._kept(digest, encode()) if features is None else features

    @contextmanager
    def only_finite(self, digest: str) -> Iterator[None]:
        """Drop the picture's features if the code inside raises FloatingPointError; the next request encodes it again.

        Features are cached before it is known whether they are finite, because the encoder does not wait for the GPU.
        """
        try:
            yield
        except FloatingPointError:
            with self._lock:
                self._entries.pop(digest, None)
            raise

    def _kept(self, digest: str, features: F) -> F:
        if features.nbytes <= self._entries.maxsize:
            with self._lock:
                self._entries[digest] = features
        return features
