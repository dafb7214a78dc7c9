"""Features are encoded once for a picture's content, and never hold more memory than allowed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

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


def test_parallel_requests_for_a_new_picture_encode_it_once() -> None:
    cache: FeatureCache[Features] = FeatureCache(100)
    encoded: list[str] = []
    together = Barrier(8)

    def encode() -> Features:
        encoded.append("a")
        return Features("a")

    def request(_: int) -> Features:
        together.wait()
        return cache.get("a", encode)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(request, range(8)))
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
