"""Recent pictures' image features, found again by the pictures' content."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    One picture is encoded at a time, since two would only share one device; meanwhile others are found as ever.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._entries: LRUCache[str, F] = LRUCache(capacity_bytes, getsizeof=lambda features: features.nbytes)
        self._lock = Lock()
        self._encoding = Lock()

    def find(self, digest: str) -> F | None:
        """Cached features of the picture with this content digest."""
        with self._lock:
            return self._entries.get(digest)

    def get(self, digest: str, encode: Callable[[], F]) -> F:
        """Features of the picture with this content digest; ``encode()`` makes them where they are not cached."""
        features = self.find(digest)
        if features is not None:
            return features
        with self._encoding:
            features = self.find(digest)
            return self._kept(digest, encode()) if features is None else features

    @contextmanager
    def only_finite(self, digest: str) -> Iterator[None]:
        """Forget the picture's features if what is made of them inside is not finite: the next one encodes it anew.

        A GPU is not waited for between encoding and that, so features are kept before it is known what they are.
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
