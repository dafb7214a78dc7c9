"""The tracker's memory in a Redis, so that replicas can take turns and a restart forgets nothing."""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis import Redis, RedisError

from promptable.errors import BadRequestError, NotReadyError
from promptable.store.circuit_breaker import PAUSE_SECONDS, CircuitBreaker, means_away
from promptable.store.memory_store import REWIND_SECONDS, InProcessStore, StateExpiredError

_log = logging.getLogger(__name__)

_PREFIX = "promptable:memory:"

# CVAT refuses a tracker's state of more than 8 hours (TRACKER_STATE_MAX_AGE in its lambda_manager).
_LIFETIME_SECONDS = 8 * 3600

_DIGEST_BYTES = 32


class RedisStore:
    """Entries in Redis, with those that this process wrote or read at hand as well.

    Entries never change, so the copy at hand is never stale. While Redis is away it is left alone for half a minute at
    a time: tracking goes on from the copy at hand, and what Redis has lost is written again when it is next renewed.
    In Redis each entry follows a digest of its key and itself, so that one that is damaged or another's is noticed.
    """

    def __init__(self, client: Redis, at_hand: InProcessStore) -> None:
        self._client = client
        self._at_hand = at_hand
        self._breaker = CircuitBreaker()

    def put(self, entries: Mapping[str, bytes], renewed: Collection[str] = (), outgrown: Collection[str] = ()) -> None:
        """Keep new entries for 8 hours, older ones for 8 hours more or for ``REWIND_SECONDS``, in one round trip.

        A failure of Redis is only a warning: the entries are at hand in this process.
        """
        self._at_hand.put(entries, renewed, outgrown)
        if self._breaker.is_open:
            return
        try:
            lost = self._write(entries, list(renewed), outgrown)
            if lost:
                self._write(self._at_hand.find(lost), [], [])
        except RedisError as error:
            self._failed(error)

    def get(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """The entries by key, those not at hand in one round trip.

        Raises StateExpiredError where one is no longer kept, BadRequestError where one is damaged, NotReadyError where
        only Redis could tell and is away.
        """
        found = self._at_hand.find(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        return {**found, **self._fetch(missing)} if missing else found

    def _write(self, entries: Mapping[str, bytes], renewed: Sequence[str], outgrown: Collection[str]) -> list[str]:
        """Write entries and set when others expire; those of ``renewed`` that Redis does not have."""
        pipeline = self._client.pipeline(transaction=False)
        for key in renewed:
            pipeline.expire(_PREFIX + key, _LIFETIME_SECONDS)
        for key in outgrown:
            pipeline.expire(_PREFIX + key, REWIND_SECONDS)
        for key, entry in entries.items():
            pipeline.set(_PREFIX + key, _digest(key, entry) + entry, ex=_LIFETIME_SECONDS)
        replies: list[Any] = pipeline.execute()
        return [key for key, prolonged in zip(renewed, replies, strict=False) if not prolonged]

    def _fetch(self, keys: Sequence[str]) -> dict[str, bytes]:
        fetched = {key: value for key, value in zip(keys, self._values(keys), strict=True) if value is not None}
        if len(fetched) < len(keys):
            raise StateExpiredError
        entries = {key: _verified(key, value) for key, value in fetched.items()}
        self._at_hand.put(entries)
        return entries

    def _values(self, keys: Sequence[str]) -> list[bytes | None]:
        if self._breaker.is_open:
            raise NotReadyError("the tracker's memory cannot be reached, try again in a moment")
        try:
            values: Any = self._client.mget([_PREFIX + key for key in keys])
        except RedisError as error:
            self._failed(error)
            raise NotReadyError(f"the tracker's memory cannot be reached, try again in a moment: {error}") from error
        return list(values)

    def _failed(self, error: RedisError) -> None:
        if means_away(error):
            self._breaker.trip()
            alone = f"tracking goes on from this process's memory alone for {PAUSE_SECONDS:g} seconds"
            _log.warning("Redis failed, %s: %s", alone, error)
        else:
            _log.warning("Redis refused a command, this step is in this process's memory alone: %s", error)


def _digest(key: str, entry: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + entry).digest()


def _verified(key: str, value: bytes) -> bytes:
    """The entry behind its digest. Raises BadRequestError where they do not belong together, or to another key."""
    entry = value[_DIGEST_BYTES:]
    if value[:_DIGEST_BYTES] != _digest(key, entry):
        raise BadRequestError("states: a memory is damaged, start tracking again from this frame")
    return entry
