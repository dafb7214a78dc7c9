"""Features are encoded once for a picture's content, and never hold more memory than allowed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Semaphore

import pytest

from promptable.serving.feature_cache import FeatureCache


@dataclass(frozen=True)
class Features:
    name: str
    nbytes: int = 10


def test_the_same_content_is_encoded_once() -> None:
    cache: FeatureCache[Features] = FeatureCache(100)
    first = cache.get("a", lambda: Features("a"))
    assert cache.get("a", lambda: Features("again")) is first


def test_the_least_recently_used_go_first() -> None:
    cache: FeatureCache[Features] = FeatureCache(20)
    for name in ("a", "b", "a", "c"):
        cache.get(name, lambda name=name: Features(name))  # type: ignore[misc]
    assert cache.get("a", lambda: Features("new")).name == "a"
    assert cache.get("b", lambda: Features("new")).name == "new"


def test_features_larger_than_the_cache_are_used_but_not_kept() -> None:
    cache: FeatureCache[Features] = FeatureCache(5)
    assert cache.get("a", lambda: Features("a")).name == "a"
    assert cache.get("a", lambda: Features("new")).name == "new"


def test_a_failing_encoding_is_not_kept() -> None:
    cache: FeatureCache[Features] = FeatureCache(100)
    with pytest.raises(IndexError):
        cache.get("a", lambda: Features(["x"][1]))
    assert cache.get("a", lambda: Features("a")).name == "a"


def test_what_turns_out_to_be_damaged_is_forgotten() -> None:
    cache: FeatureCache[Features] = FeatureCache(100)
    for name in ("a", "b"):
        cache.get(name, lambda: Features("old"))
    with pytest.raises(FloatingPointError), cache.only_finite("a"):
        raise FloatingPointError
    with pytest.raises(ValueError, match="another"), cache.only_finite("b"):
        raise ValueError("another error")
    assert [cache.get(name, lambda: Features("new")).name for name in ("a", "b")] == ["new", "old"]


class CountedCache(FeatureCache[Features]):
    """A cache that releases ``missed`` whenever a look-up finds nothing."""

    def __init__(self, capacity_bytes: int) -> None:
        super().__init__(capacity_bytes)
        self.missed = Semaphore(0)

    def find(self, digest: str) -> Features | None:
        found = super().find(digest)
        if found is None:
            self.missed.release()
        return found


def test_parallel_requests_for_a_new_picture_encode_it_once() -> None:
    """The encoding takes until every request has looked in vain."""
    cache = CountedCache(100)
    encoded: list[str] = []

    def encode() -> Features:
        encoded.append("a")
        if len(encoded) == 1:
            for _ in range(8 + 1):  # the one that encodes has looked twice
                assert cache.missed.acquire(timeout=10)
        return Features("a")

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: cache.get("a", encode), range(8)))
    assert encoded == ["a"]
    assert all(result is results[0] for result in results)


def test_a_picture_at_hand_is_found_while_another_is_encoded() -> None:
    cache: FeatureCache[Features] = FeatureCache(100)
    known = cache.get("a", lambda: Features("a"))
    found: list[Features] = []

    def encode_slowly() -> Features:
        with ThreadPoolExecutor() as pool:
            found.append(pool.submit(cache.get, "a", lambda: Features("again")).result(timeout=10))
        return Features("b")

    cache.get("b", encode_slowly)
    assert found == [known]
