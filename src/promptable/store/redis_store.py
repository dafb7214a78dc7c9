"""A store of entries in Redis: any replica can continue a track, and a restart of the function loses nothing."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Generic

from redis import Redis

from promptable.store.entry_store import REWIND_SECONDS, E, InProcessStore
from promptable.store.errors import EntryDamagedError, ServerError
from promptable.store.redis_server import RedisServer

_PREFIX = "promptable:memory:"

# CVAT refuses a tracker's state of more than 8 hours (TRACKER_STATE_MAX_AGE in its lambda_manager).
_LIFETIME_SECONDS = 8 * 3600

_DIGEST_BYTES = 32


class RedisStore(Generic[E]):
    """Entries in Redis, with local copies of the entries that this process has written or read.

    Entries never change, so a local copy is never stale. While Redis cannot be reached, tracking continues with the
    local copies. An entry that Redis has lost is written again the next time that it is renewed. A value in Redis is a
    digest of key and bytes, followed by the bytes; so a damaged or misplaced entry is detected. ``read`` makes the
    entry of a key and its bytes, once for every copy; it raises ValueError for bytes that are no such entry.
    """

    def __init__(self, server: RedisServer, local: InProcessStore[E], read: Callable[[str, bytes], E]) -> None:
        self._server = server
        self._local = local
        self._read = read

    def put(self, entries: Mapping[str, E], renewed: Collection[str] = (), superseded: Collection[str] = ()) -> None:
        """Store new entries for 8 hours, in one round trip.

        ``renewed`` older entries expire 8 hours from now, ``superseded`` ones ``REWIND_SECONDS`` from now. If Redis
        fails, that is only a warning in the log: this process has local copies.
        """
        self._local.put(entries, renewed, superseded)
        with suppress(ServerError):
            lost = self._server.call(lambda client: _write(client, entries, list(renewed), superseded))
            if lost:
                self._server.call(lambda client: _write(client, self._local.get(lost), [], []))

    def get(self, keys: Collection[str]) -> Mapping[str, E]:
        """Those of the entries that are still kept, by key. Entries without a local copy are read in one round trip.

        Raises EntryDamagedError for a damaged entry, and ServerError if Redis fails and a local copy is missing.
        """
        found = self._local.get(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        return {**found, **self._fetch(missing)} if missing else found

    def _fetch(self, keys: Sequence[str]) -> dict[str, E]:
        values: Any = self._server.call(lambda client: client.mget([_PREFIX + key for key in keys]))
        kept = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        entries = {key: self._entry(key, _verified(key, value)) for key, value in kept.items()}
        self._local.put(entries)
        return entries

    def _entry(self, key: str, data: bytes) -> E:
        try:
            return self._read(key, data)
        except ValueError as error:
            raise EntryDamagedError(str(error)) from error


def _write(client: Redis, entries: Mapping[str, E], renewed: Sequence[str], superseded: Collection[str]) -> list[str]:
    """Write entries and set when others expire. Returns those keys of ``renewed`` that Redis does not have."""
    pipeline = client.pipeline(transaction=False)
    for key in renewed:
        pipeline.expire(_PREFIX + key, _LIFETIME_SECONDS)
    for key in superseded:
        pipeline.expire(_PREFIX + key, REWIND_SECONDS)
    for key, entry in entries.items():
        data = entry.to_bytes()
        pipeline.set(_PREFIX + key, _digest(key, data) + data, ex=_LIFETIME_SECONDS)
    replies: list[Any] = pipeline.execute()
    return [key for key, prolonged in zip(renewed, replies, strict=False) if not prolonged]


def _digest(key: str, data: bytes) -> bytes:
    digest = hashlib.sha256(key.encode() + b"\n")
    digest.update(data)
    return digest.digest()


def _verified(key: str, value: bytes) -> bytes:
    """The bytes that follow the digest. Raises EntryDamagedError if the digest is not that of this key and bytes."""
    data = value[_DIGEST_BYTES:]
    if value[:_DIGEST_BYTES] != _digest(key, data):
        raise EntryDamagedError(f"the value of {key} does not fit its digest")
    return data
