"""SAM 2's memories of tracked objects in a store, under the ids that the objects' states contain."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from promptable.errors import BadRequestError, GoneError, NotReadyError
from promptable.models.sam2.memory import Memory, MemoryFeatures
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.serving.tracker.entries import DIGEST_BYTES, MemoryEntry, PointerEntry, features_key, pointer_key
from promptable.store.entry_store import EntryStore
from promptable.store.errors import EntryDamagedError, ServerError
from promptable.wire.state import MemoryName, TrackState

_ID_BYTES = 12

Names = tuple[MemoryName, ...]
"""The names of the memories that an object's next step needs, oldest first."""


class StoredMemories:
    """Each memory is stored as two entries under one new id: its pointer, and its features, which fewer steps need.

    Keys contain the model's fingerprint, so that a model never reads another model's entries. The pointer's entry
    has a digest of the step and of the only valid list of names whose last name is this memory. So a state with a list
    that was cut, mixed, or taken from another object is detected.
    """

    def __init__(self, model: VideoTracker, store: EntryStore[MemoryEntry]) -> None:
        self._model = model
        self._store = store

    def start(self, memories: Sequence[Memory]) -> list[Names]:
        """Store the first memory of each new object. Returns the names for the state of each object."""
        names: list[Names] = [(MemoryName(_fresh(), memory.step, features=True),) for memory in memories]
        self._store.put(self._entries(memories, names))
        return names

    def advance(
        self, past: Sequence[TrackState], remembered: Sequence[Sequence[Memory]], memories: Sequence[Memory]
    ) -> list[Names]:
        """Store the new memory of each object, for the step after its state. Returns the names for the next states.

        ``past`` are the objects' states, ``remembered`` the memories that ``read`` returned for them. Older memories
        that the next step needs are renewed; the others are superseded, and kept for a while for users who go back.
        """
        names = [self._following(*each) for each in zip(past, remembered, memories, strict=True)]
        needed = {key for each in names for key in self._keys(each)}
        entries = self._entries(memories, names)
        self._store.put(
            entries,
            renewed=needed - entries.keys(),
            superseded={key for state in past for name in state.memories for key in self._both(name)} - needed,
        )
        return names

    def read(self, states: Sequence[TrackState]) -> list[list[Memory] | None]:
        """The memories that each state names, oldest first; an empty list if it names none; None if they have expired.

        Raises GoneError for a state of another model, BadRequestError for one that does not fit its memories, and
        NotReadyError if the store cannot be reached.
        """
        for state in states:
            self._check(state)
        entries = self._get({key for state in states for key in self._keys(state.memories)})
        for state in states:
            self._check_fit(state, entries)
        try:
            return [self._past(state, entries) for state in states]
        except ValueError as error:
            raise _damaged(error) from error

    def _get(self, keys: set[str]) -> Mapping[str, MemoryEntry]:
        try:
            return self._store.get(keys)
        except EntryDamagedError as error:
            raise _damaged(error) from error
        except ServerError as error:
            raise NotReadyError(f"the tracker's memory cannot be reached, try again in a moment: {error}") from error

    def _check(self, state: TrackState) -> None:
        if state.model != self._model.fingerprint:
            raise GoneError(
                "states: this track began with another model or precision than runs now,"
                " start tracking again from this frame"
            )
        if state.memories and state.memories[-1].step != state.step:
            raise _misfit()

    def _check_fit(self, state: TrackState, entries: Mapping[str, MemoryEntry]) -> None:
        newest = entries.get(self._pointer(state.memories[-1])) if state.memories else None
        if isinstance(newest, PointerEntry) and newest.digest != _digest(state.memories, state.step):
            raise _misfit()

    def _following(self, state: TrackState, remembered: Sequence[Memory], newest: Memory) -> Names:
        """The names of the next state."""
        ids = {name.step: name.id for name in state.memories} | {newest.step: _fresh()}
        kept = self._model.retain([*remembered, newest])
        return tuple(MemoryName(ids[one.step], one.step, one.features is not None) for one in kept)

    def _entries(self, memories: Sequence[Memory], names: Sequence[Names]) -> dict[str, MemoryEntry]:
        entries: dict[str, MemoryEntry] = {}
        for memory, known in zip(memories, names, strict=True):
            digest = _digest(known, memory.step)
            entries[self._pointer(known[-1])] = PointerEntry(digest, replace(memory, features=None))
            if memory.features is not None:
                entries[self._features(known[-1])] = MemoryFeatures(memory.features)
        return entries

    def _past(self, state: TrackState, entries: Mapping[str, MemoryEntry]) -> list[Memory] | None:
        """The memories that the state names; None unless all their entries are there."""
        memories = [memory for name in state.memories if (memory := self._memory(name, entries)) is not None]
        return memories if len(memories) == len(state.memories) else None

    def _memory(self, name: MemoryName, entries: Mapping[str, MemoryEntry]) -> Memory | None:
        match entries.get(self._pointer(name)), entries.get(self._features(name)) if name.features else None:
            case PointerEntry(memory=memory), MemoryFeatures(values=features):
                whole = replace(memory, features=features)
            case PointerEntry(memory=memory), None if not name.features:
                whole = memory
            case _:
                return None
        self._model.check(whole)
        return whole

    def _keys(self, names: Names) -> Iterator[str]:
        """The keys of all entries that the step after these memories needs."""
        for name in names:
            yield self._pointer(name)
            if name.features:
                yield self._features(name)

    def _both(self, name: MemoryName) -> tuple[str, str]:
        return self._pointer(name), self._features(name)

    def _pointer(self, name: MemoryName) -> str:
        return pointer_key(self._model.fingerprint, name.id)

    def _features(self, name: MemoryName) -> str:
        return features_key(self._model.fingerprint, name.id)


def _fresh() -> str:
    return secrets.token_urlsafe(_ID_BYTES)


def _digest(names: Names, step: int) -> bytes:
    known = ",".join(f"{name.id}/{name.step}/{name.features}" for name in names)
    return hashlib.sha256(f"{step}:{known}".encode()).digest()[:DIGEST_BYTES]


def _damaged(error: ValueError) -> BadRequestError:
    return BadRequestError(f"states: a memory is damaged, start tracking again from this frame: {error}")


def _misfit() -> BadRequestError:
    return BadRequestError("states: a state does not fit its memory, start tracking again from this frame")
