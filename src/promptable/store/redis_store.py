"""Entries in a Redis, so that replicas can take turns and a restart forgets nothing."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from redis import Redis

from promptable.store.entry_store import REWIND_SECONDS, InProcessStore
from promptable.store.errors import EntryDamagedError, ServerError
from promptable.store.redis_server import RedisServer

_PREFIX = "promptable:memory:"

# CVAT refuses a tracker's state of more than 8 hours (TRACKER_STATE_MAX_AGE in its lambda_manager).
_LIFETIME_SECONDS = 8 * 3600

_DIGEST_BYTES = 32


class RedisStore:
    """Entries in Redis, with a local copy of those that this process wrote or read.

    Entries never change, so the copy is never stale. While Redis is away, tracking goes on from the copy, and what
    Redis has lost is written again when it is next renewed.
    In Redis each entry follows a digest of its key and itself, so that one that is damaged or another's is noticed.
    """

    def __init__(self, server: RedisServer, local: InProcessStore) -> None:
        self._server = server
        self._local = local

    def put(
        self, entries: Mapping[str, bytes], renewed: Collection[str] = (), superseded: Collection[str] = ()
    ) -> None:
        """Keep new entries for 8 hours, older ones for 8 hours more or for ``REWIND_SECONDS``, in one round trip.

        A failure of Redis is only a warning: the entries are kept in this process.
        """
        self._local.put(entries, renewed, superseded)
        with suppress(ServerError):
            lost = self._server.call(lambda client: _write(client, entries, list(renewed), superseded))
            if lost:
                self._server.call(lambda client: _write(client, self._local.get(lost), [], []))

    def get(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """Those of the entries that are still kept, by key; those without a local copy in one round trip.

        Raises EntryDamagedError, and ServerError where only Redis could tell and fails.
        """
        found = self._local.get(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        return {**found, **self._fetch(missing)} if missing else found

    def _fetch(self, keys: Sequence[str]) -> dict[str, bytes]:
        values: Any = self._server.call(lambda client: client.mget([_PREFIX + key for key in keys]))
        kept = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        entries = {key: _verified(key, value) for key, value in kept.items()}
        self._local.put(entries)
        return entries


def _write(
    client: Redis, entries: Mapping[str, bytes], renewed: Sequence[str], superseded: Collection[str]
) -> list[str]:
    """Write entries and set when others expire; those of ``renewed`` that Redis does not have."""
    pipeline = client.pipeline(transaction=False)
    for key in renewed:
        pipeline.expire(_PREFIX + key, _LIFETIME_SECONDS)
    for key in superseded:
        pipeline.expire(_PREFIX + key, REWIND_SECONDS)
    for key, entry in entries.items():
        pipeline.set(_PREFIX + key, _digest(key, entry) + entry, ex=_LIFETIME_SECONDS)
    replies: list[Any] = pipeline.execute()
    return [key for key, prolonged in zip(renewed, replies, strict=False) if not prolonged]


def _digest(key: str, entry: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + entry).digest()


def _verified(key: str, value: bytes) -> bytes:
    """The entry behind its digest. Raises EntryDamagedError where they do not belong together, or to another key."""
    entry = value[_DIGEST_BYTES:]
    if value[:_DIGEST_BYTES] != _digest(key, entry):
        raise EntryDamagedError(f"the value of {key} does not fit its digest")
    return entry
