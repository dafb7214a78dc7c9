"""The tracker's memory in a Redis, so that replicas can take turns and a restart forgets nothing."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis import Redis, RedisError

from promptable.errors import NotReadyError
from promptable.store.memory_store import InProcessStore, StateExpiredError

_log = logging.getLogger(__name__)

_PREFIX = "promptable:memory:"

# CVAT refuses a tracker's state of more than 8 hours (TRACKER_STATE_MAX_AGE in its lambda_manager).
_LIFETIME_SECONDS = 8 * 3600


class RedisStore:
    """Entries in Redis, with those that this process wrote or read at hand as well.

    Entries never change, so the copy at hand is never stale. While Redis is away tracking goes on from that copy, and
    what Redis has lost is written again when it is next renewed.
    """

    def __init__(self, client: Redis, at_hand: InProcessStore) -> None:
        self._client = client
        self._at_hand = at_hand

    def put(self, entries: Mapping[str, bytes], renewed: Collection[str] = ()) -> None:
        """Keep new entries for 8 hours and older ones for 8 hours more, in one round trip.

        A failure of Redis is only a warning: the entries are at hand in this process.
        """
        self._at_hand.put(entries, renewed)
        try:
            lost = self._write(entries, list(renewed))
            if lost:
                self._write(self._at_hand.find(lost), [])
        except RedisError as error:
            _log.warning("Redis failed, tracking goes on from this process's memory alone: %s", error)

    def get(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """The entries by key, those not at hand in one round trip.

        Raises StateExpiredError where one is no longer kept, NotReadyError where only Redis could tell and fails.
        """
        found = self._at_hand.find(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        return {**found, **self._fetch(missing)} if missing else found

    def _write(self, entries: Mapping[str, bytes], renewed: Sequence[str]) -> list[str]:
        """Write entries and prolong others; those of the others that Redis does not have."""
        pipeline = self._client.pipeline(transaction=False)
        for key, entry in entries.items():
            pipeline.set(_PREFIX + key, entry, ex=_LIFETIME_SECONDS)
        for key in renewed:
            pipeline.expire(_PREFIX + key, _LIFETIME_SECONDS)
        replies: list[Any] = pipeline.execute()
        return [key for key, prolonged in zip(renewed, replies[len(entries) :], strict=True) if not prolonged]

    def _fetch(self, keys: Sequence[str]) -> dict[str, bytes]:
        try:
            values: Any = self._client.mget([_PREFIX + key for key in keys])
        except RedisError as error:
            raise NotReadyError(f"the tracker's memory cannot be reached, try again in a moment: {error}") from error
        fetched = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        if len(fetched) < len(keys):
            raise StateExpiredError
        self._at_hand.put(fetched)
        return fetched
