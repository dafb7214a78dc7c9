"""Entries come back by their fresh ids until they are too old to keep."""

import pytest

from promptable.errors import BadRequestError
from promptable.store.memory_store import InProcessStore


def test_entries_come_back_by_their_ids() -> None:
    store = InProcessStore(100)
    first, second = store.put([b"one", b"two"])
    assert store.get([second, first]) == {first: b"one", second: b"two"}
    assert store.get([first, first]) == {first: b"one"}
    assert store.get([]) == {}


def test_ids_are_fresh_even_for_equal_entries() -> None:
    store = InProcessStore(1000)
    ids = store.put([b"same"] * 20)
    assert len(set(ids)) == 20


def test_an_unknown_id_is_a_bad_request_that_says_what_to_do() -> None:
    with pytest.raises(BadRequestError, match="expired, start tracking again"):
        InProcessStore(100).get(["nowhere"])


def test_the_least_recently_used_entries_go_first() -> None:
    store = InProcessStore(10)
    old, used = store.put([b"11111", b"22222"])
    store.get([used])
    store.get([old])
    (new,) = store.put([b"33333"])
    assert store.get([old, new]) == {old: b"11111", new: b"33333"}
    with pytest.raises(BadRequestError):
        store.get([used])
