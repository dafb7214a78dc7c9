"""Entries come back by their keys until they are too old to keep."""

from itertools import chain, repeat

from promptable.store.entry_store import REWIND_SECONDS, InProcessStore
from tests.store.words import Word, words


def test_entries_come_back_by_their_keys() -> None:
    store = InProcessStore[Word](100)
    store.put(words(a=b"one", b=b"two"))
    assert store.get(["b", "a"]) == {"a": b"one", "b": b"two"}
    assert store.get(["a", "a"]) == {"a": b"one"}
    assert store.get([]) == {}


def test_an_unknown_key_is_not_there() -> None:
    store = InProcessStore[Word](100)
    store.put(words(a=b"one"))
    assert store.get(["a", "nowhere"]) == {"a": b"one"}


def test_the_least_recently_used_entries_go_first() -> None:
    store = InProcessStore[Word](10)
    store.put(words(a=b"11111", b=b"22222"))
    store.get(["a"])
    store.put(words(c=b"33333"))
    assert store.get(["a", "b", "c"]) == {"a": b"11111", "c": b"33333"}


def test_renewed_entries_count_as_just_used() -> None:
    store = InProcessStore[Word](10)
    store.put(words(a=b"11111", b=b"22222"))
    store.put(words(c=b"33333"), renewed=["a", "gone"])
    assert store.get(["a", "b", "c"]) == {"a": b"11111", "c": b"33333"}


def test_an_entry_larger_than_the_store_is_not_kept() -> None:
    store = InProcessStore[Word](4)
    store.put(words(large=b"11111", small=b"22"))
    assert store.get(["large", "small"]) == {"small": b"22"}


def test_superseded_entries_go_before_all_others() -> None:
    store = InProcessStore[Word](15)
    store.put(words(a=b"11111", b=b"22222"))
    store.put(words(c=b"33333"), superseded=["b", "gone"])
    assert store.get(["a", "b", "c"]).keys() == {"a", "b", "c"}
    store.put(words(d=b"44444"))
    assert store.get(["a", "b", "c", "d"]).keys() == {"a", "c", "d"}
    store.put(words(e=b"55555"))
    assert store.get(["a", "b", "c", "d", "e"]).keys() == {"c", "d", "e"}


def test_superseded_entries_are_found_for_a_while() -> None:
    now = [0.0]
    store = InProcessStore[Word](100, lambda: now[0])
    store.put(words(a=b"one", b=b"two", c=b"three"))
    store.put({}, superseded=["a", "b"])
    now[0] = REWIND_SECONDS - 1
    assert store.get(["a", "b", "c"]) == {"a": b"one", "b": b"two", "c": b"three"}
    store.put({}, renewed=["a"])
    now[0] = 100 * REWIND_SECONDS
    assert store.get(["a", "b", "c"]) == {"a": b"one", "c": b"three"}
    assert len(store) == 2
    assert store.get(["b"]) == {}


def test_a_superseded_entry_that_expires_while_its_place_is_needed_is_no_error() -> None:
    """Whichever look at the clock it is that finds it expired."""
    for expired_at in range(1, 30):
        seconds = chain([0] * expired_at, repeat(REWIND_SECONDS))
        store = InProcessStore[Word](10, seconds.__next__)
        store.put(words(old=b"11111"))
        store.put(words(new=b"22222"), superseded=["old"])
        store.put(words(newest=b"33333"))
        assert store.get(["new", "newest"]) == {"new": b"22222", "newest": b"33333"}
