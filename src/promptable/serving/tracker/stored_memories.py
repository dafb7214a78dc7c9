"""SAM 2's memories of tracked objects, kept in a store under the ids that the objects' states carry."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence

from promptable.errors import BadRequestError, NotReadyError
from promptable.models.sam2.memory import Memory
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.store.entry_store import EntryStore
from promptable.store.errors import EntryDamagedError, EntryExpiredError, ServerError
from promptable.wire.tracker import TrackState

_ID_BYTES = 12
_DIGEST_BYTES = 16

Ids = tuple[str, ...]
"""The ids of an object's memories, oldest first: those of the steps that its next step attends to."""


class StoredMemories:
    """Each memory is two entries under one fresh id: its pointer, and its features, which fewer steps need.

    Keys carry the model's fingerprint, so that no model ever reads another one's entries. The pointer's entry begins
    with a digest of the one list of ids that a state may end with this one, and of its step, so that no state mixes,
    cuts or crosses what was remembered.
    """

    def __init__(self, model: VideoTracker, store: EntryStore) -> None:
        self._model = model
        self._store = store

    def start(self, memories: Sequence[Memory]) -> list[Ids]:
        """Keep the memories of new objects; the ids for the state of each."""
        ids: list[Ids] = [(_fresh(),) for _ in memories]
        self._store.put(self._entries(memories, ids))
        return ids

    def advance(self, past: Sequence[TrackState], memories: Sequence[Memory]) -> list[Ids]:
        """Keep what objects remember of the step after each state, and what of the past is still needed.

        What is no longer needed is kept for those who go back. The ids for the next state of each.
        """
        ids = [self._following(state) for state in past]
        needed = {key for each, memory in zip(ids, memories, strict=True) for key in self._keys(each, memory.step)}
        entries = self._entries(memories, ids)
        self._store.put(
            entries,
            renewed=needed - entries.keys(),
            superseded={key for state in past for name in state.memory_ids for key in self._both(name)} - needed,
        )
        return ids

    def read(self, states: Sequence[TrackState]) -> list[list[Memory]]:
        """What each state remembers, oldest first.

        Raises BadRequestError for a foreign, forged or expired state, NotReadyError where the store cannot be reached.
        """
        for state in states:
            self._check(state)
        entries = self._get({key for state in states for key in self._keys(state.memory_ids, state.step)})
        for state in states:
            newest = entries[self._pointer(state.memory_ids[-1])]
            if newest[:_DIGEST_BYTES] != _digest(state.memory_ids, state.step):
                raise _misfit()
        try:
            return [self._past(state, entries) for state in states]
        except ValueError as error:
            raise BadRequestError(f"states: a memory is damaged, start tracking again: {error}") from error

    def _get(self, keys: set[str]) -> Mapping[str, bytes]:
        try:
            return self._store.get(keys)
        except EntryExpiredError as error:
            raise BadRequestError("states: a state has expired, start tracking again from this frame") from error
        except EntryDamagedError as error:
            raise BadRequestError("states: a memory is damaged, start tracking again from this frame") from error
        except ServerError as error:
            raise NotReadyError(f"the tracker's memory cannot be reached, try again in a moment: {error}") from error

    def _check(self, state: TrackState) -> None:
        if state.model != self._model.fingerprint:
            raise BadRequestError("states: a state is of another model, start tracking again from this frame")
        if len(state.memory_ids) != len(self._model.retention.steps(state.step)):
            raise _misfit()

    def _following(self, state: TrackState) -> Ids:
        """The ids of the next state."""
        known = dict(zip(self._model.retention.steps(state.step), state.memory_ids, strict=True))
        known[state.step + 1] = _fresh()
        return tuple(known[step] for step in self._model.retention.steps(state.step + 1))

    def _entries(self, memories: Sequence[Memory], ids: Sequence[Ids]) -> dict[str, bytes]:
        entries = {}
        for memory, names in zip(memories, ids, strict=True):
            entries[self._pointer(names[-1])] = _digest(names, memory.step) + memory.pointer_bytes()
            entries[self._features(names[-1])] = memory.features_bytes()
        return entries

    def _past(self, state: TrackState, entries: Mapping[str, bytes]) -> list[Memory]:
        past = []
        for name, has_features in self._named(state.memory_ids, state.step):
            features = entries[self._features(name)] if has_features else None
            memory = Memory.from_bytes(entries[self._pointer(name)][_DIGEST_BYTES:], features)
            self._model.check(memory)
            past.append(memory)
        return past

    def _keys(self, ids: Ids, newest: int) -> Iterator[str]:
        """What the step after ``newest`` needs."""
        for name, has_features in self._named(ids, newest):
            yield self._pointer(name)
            if has_features:
                yield self._features(name)

    def _named(self, ids: Ids, newest: int) -> Iterator[tuple[str, bool]]:
        """The ids of a state at step ``newest``, and whether the next step attends to their features."""
        retention = self._model.retention
        for name, step in zip(ids, retention.steps(newest), strict=True):
            yield name, retention.needs_features(newest + 1 - step, conditioning=step == 0)

    def _both(self, name: str) -> tuple[str, str]:
        return self._pointer(name), self._features(name)

    def _pointer(self, name: str) -> str:
        return f"{self._model.fingerprint}:{name}:pointer"

    def _features(self, name: str) -> str:
        return f"{self._model.fingerprint}:{name}:features"


def _fresh() -> str:
    return secrets.token_urlsafe(_ID_BYTES)


def _digest(ids: Ids, step: int) -> bytes:
    return hashlib.sha256(f"{step}:{','.join(ids)}".encode()).digest()[:_DIGEST_BYTES]


def _misfit() -> BadRequestError:
    return BadRequestError("states: a state does not fit its memory, start tracking again from this frame")
