"""Entries in a real Redis: shared, renewed, survived when it goes away, and never a wrong one."""

import logging
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from redis import Redis
from redis.connection import Connection

from promptable.store import circuit_breaker
from promptable.store.entry_store import REWIND_SECONDS, InProcessStore
from promptable.store.errors import EntryDamagedError, ServerError
from promptable.store.redis_server import connect
from promptable.store.redis_store import RedisStore
from tests.redis_server import recorded_waits, running_redis
from tests.store.words import Word, read_word, words
from toy.redis_server import RedisServer

HOURS = 3600


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


def replica(server: RedisServer, local: int = 1000) -> RedisStore[Word]:
    return RedisStore(connect("127.0.0.1", server.port), InProcessStore(local), read_word)


def client(server: RedisServer) -> Redis:
    return connect("127.0.0.1", server.port).client


def _keys(server: RedisServer) -> list[bytes]:
    """redis-py's types do not know that this client gives bytes."""
    return [key for key in client(server).keys() if isinstance(key, bytes)]  # noqa: SIM118 - not a dict


def test_one_replica_reads_what_another_wrote(server: RedisServer) -> None:
    replica(server).put(words(a=b"one", b=b"\x00\xff"))
    assert replica(server).get(["b", "a"]) == {"a": b"one", "b": b"\x00\xff"}


def test_entries_expire_after_eight_hours_and_renewed_ones_later(server: RedisServer) -> None:
    store = replica(server)
    store.put(words(a=b"one", b=b"two"))
    for key in client(server).keys():  # noqa: SIM118 - not a dict
        assert 8 * HOURS - 60 < client(server).ttl(key) <= 8 * HOURS
        client(server).expire(key, 1 * HOURS)
    store.put(words(c=b"three"), renewed=["a"])
    left = {key.rpartition(b":")[2]: client(server).ttl(key) for key in _keys(server)}
    assert left[b"b"] <= 1 * HOURS
    assert min(left[b"a"], left[b"c"]) > 7 * HOURS


def test_superseded_entries_expire_soon_unless_they_are_needed_again(server: RedisServer) -> None:
    store = replica(server)
    store.put(words(a=b"one", b=b"two", c=b"three"))
    store.put({}, renewed=["a"], superseded=["b", "c", "gone"])
    store.put({}, renewed=["c"])
    left = {key.rpartition(b":")[2]: client(server).ttl(key) for key in _keys(server)}
    assert 0 < left[b"b"] <= REWIND_SECONDS
    assert min(left[b"a"], left[b"c"]) > 7 * HOURS


@pytest.mark.parametrize("wrong", [b"", b"garbage", b"\0" * 64, bytes(32) + b"one"])
def test_an_entry_that_was_overwritten_is_refused(server: RedisServer, wrong: bytes) -> None:
    replica(server).put(words(a=b"one"))
    server.overwrite(wrong)
    with pytest.raises(EntryDamagedError):
        replica(server).get(["a"])


def test_another_keys_entry_is_refused(server: RedisServer) -> None:
    replica(server).put(words(a=b"one", b=b"two"))
    client(server).set("promptable:memory:a", server.entries()[b"promptable:memory:b"])
    with pytest.raises(EntryDamagedError):
        replica(server).get(["a"])
    assert replica(server).get(["b"]) == {"b": b"two"}


def test_an_entry_that_its_digest_fits_is_refused_if_it_cannot_be_read(server: RedisServer) -> None:
    """Of another version, for instance. The others are then not kept either."""
    replica(server).put(words(a=b"\0\0", b=b"two"))
    reader = replica(server)
    for _ in range(2):
        with pytest.raises(EntryDamagedError, match="no word begins so"):
            reader.get(["a", "b"])
    assert reader.get(["b"]) == {"b": b"two"}


def test_an_entry_is_read_once(server: RedisServer) -> None:
    writer, reader = replica(server), replica(server)
    written = words(a=b"one")
    writer.put(written)
    assert writer.get(["a"])["a"] is written["a"]
    assert reader.get(["a"])["a"] is reader.get(["a"])["a"]


def test_a_server_that_hangs_is_left_alone_for_half_a_minute(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: now[0])
    store = RedisStore(connect("127.0.0.1", server.port).within(0.05), InProcessStore(1000), read_word)
    server.hang()
    with recorded_waits() as waits:
        for frame in range(5):
            store.put({f"{frame}": Word(b"entry")}, renewed=[f"{frame - 1}"])
            assert store.get([f"{frame}"]) == {f"{frame}": b"entry"}
            with pytest.raises(ServerError):
                store.get(["of another replica"])
        assert len(waits) == 1
        assert caplog.text.count("Redis failed") == 1
        now[0] += 31
        store.put(words(later=b"entry"))
        assert len(waits) == 2


def test_a_command_that_is_refused_is_no_reason_for_a_pause(server: RedisServer) -> None:
    client(server).config_set("maxmemory", 1)
    store = replica(server)
    store.put(words(a=b"one"))
    client(server).config_set("maxmemory", 0)
    store.put(words(b=b"two"))
    assert replica(server).get(["b"]) == {"b": b"two"}


def test_reading_and_writing_take_one_round_trip_each(server: RedisServer) -> None:
    writer, reader = replica(server), replica(server)
    writer.put(words(warm=b"up"))
    reader.get(["warm"])
    send = Connection.send_packed_command
    with patch.object(Connection, "send_packed_command", autospec=True, side_effect=send) as sent:
        writer.put({f"key {i}": Word(b"entry") for i in range(20)}, renewed=["warm"])
        assert sent.call_count == 1
        reader.get([f"key {i}" for i in range(20)])
        assert sent.call_count == 2
        reader.get([f"key {i}" for i in range(20)])
        assert sent.call_count == 2, "what was read once is kept"


def test_nothing_is_asked_for_nothing(server: RedisServer) -> None:
    server.stop()
    assert replica(server).get([]) == {}


def test_an_unknown_key_is_not_there(server: RedisServer) -> None:
    assert replica(server).get(["nowhere"]) == {}


def test_an_evicted_entry_is_not_there_unless_there_is_a_local_copy(server: RedisServer) -> None:
    writer = replica(server)
    writer.put(words(a=b"one"))
    client(server).flushall()
    assert writer.get(["a"]) == {"a": b"one"}
    assert replica(server).get(["a"]) == {}


def test_more_than_fits_the_local_copy_comes_from_redis(server: RedisServer) -> None:
    store = replica(server, local=4)
    store.put(words(a=b"one", b=b"two", large=b"a thousand"))
    assert store.get(["a", "b", "large"]) == {"a": b"one", "b": b"two", "large": b"a thousand"}


def test_without_redis_a_replica_goes_on_alone_with_a_warning(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = replica(server)
    server.stop()
    with caplog.at_level(logging.WARNING):
        store.put(words(a=b"one"))
    assert "Redis failed" in caplog.text
    assert store.get(["a"]) == {"a": b"one"}


def test_without_redis_another_replica_cannot_answer_yet(server: RedisServer) -> None:
    replica(server).put(words(a=b"one"))
    server.stop()
    with pytest.raises(ServerError):
        replica(server).get(["a"])


def test_what_a_restarted_redis_lost_is_written_again_when_renewed(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: now[0])
    store = replica(server)
    store.put(words(a=b"one", b=b"two"))
    server.stop()
    store.put(words(c=b"three"), renewed=["a"])
    server.start()
    now[0] += 31
    store.put(words(d=b"four"), renewed=["a", "c"])
    assert replica(server).get(["a", "c", "d"]) == {"a": b"one", "c": b"three", "d": b"four"}
    assert replica(server).get(["b"]) == {}


def test_a_server_that_refuses_to_write_is_a_warning(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    client(server).config_set("maxmemory", 1)
    store = replica(server)
    store.put(words(a=b"one"))
    assert "used memory" in caplog.text
    assert store.get(["a"]) == {"a": b"one"}


def test_a_key_of_another_kind_is_no_entry(server: RedisServer) -> None:
    client(server).rpush("promptable:memory:a", "a list")
    assert replica(server).get(["a"]) == {}
