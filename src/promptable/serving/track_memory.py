"""What tracked objects remember, kept in a store under the names that their states carry."""

import secrets
from collections.abc import Iterator, Mapping, Sequence

from promptable.errors import BadRequestError
from promptable.models.sam2_memory import Memory
from promptable.models.sam2_video import VideoTracker
from promptable.store.memory_store import MemoryStore
from promptable.wire.tracker import TrackState

_ID_BYTES = 12


class TrackMemory:
    """Each memory is two entries under one fresh id: its pointer, and its features, which fewer steps need.

    Keys carry the model's fingerprint, so that no model ever reads another one's entries.
    """

    def __init__(self, model: VideoTracker, store: MemoryStore) -> None:
        self._model = model
        self._store = store

    def write(self, memories: Sequence[Memory], past: Sequence[TrackState] = ()) -> list[str]:
        """Keep the memories, and for as long what the states of their past name; the memories' ids, in their order."""
        ids = [secrets.token_urlsafe(_ID_BYTES) for _ in memories]
        named = list(zip(ids, memories, strict=True))
        entries = {self._key(name, "pointer"): memory.pointer_bytes() for name, memory in named}
        entries |= {self._key(name, "features"): memory.features_bytes() for name, memory in named}
        self._store.put(entries, renewed=[key for state in past for key in self._keys(state)])
        return ids

    def read(self, states: Sequence[TrackState]) -> list[list[Memory]]:
        """What each state remembers, oldest first. Raises BadRequestError for a foreign, forged or expired state."""
        for state in states:
            if state.model != self._model.fingerprint:
                raise BadRequestError("states: a state is of another model, start tracking again from this frame")
        entries = self._store.get({key for state in states for key in self._keys(state)})
        try:
            pasts = [[self._memory(entries, *keys) for keys in self._named(state)] for state in states]
        except ValueError as error:
            raise BadRequestError(f"states: a memory is damaged, start tracking again: {error}") from error
        for state, past in zip(states, pasts, strict=True):
            _check_past(state, past)
        return pasts

    def _memory(self, entries: Mapping[str, bytes], pointer_key: str, features_key: str | None) -> Memory:
        features = None if features_key is None else entries[features_key]
        memory = Memory.from_bytes(entries[pointer_key], features)
        self._model.check(memory)
        return memory

    def _keys(self, state: TrackState) -> list[str]:
        return [key for pair in self._named(state) for key in pair if key is not None]

    def _named(self, state: TrackState) -> Iterator[tuple[str, str | None]]:
        """Keys of the pointer, and of the features if they are still needed, of each memory that a state names.

        The oldest is that of the prompted frame; the others are those of the last steps without a gap.
        """
        for position, name in enumerate(state.memory_ids):
            age = len(state.memory_ids) - position
            needed = self._model.needs_features(age, conditioning=position == 0)
            yield self._key(name, "pointer"), self._key(name, "features") if needed else None

    def _key(self, name: str, part: str) -> str:
        return f"{self._model.fingerprint}:{name}:{part}"


def _check_past(state: TrackState, past: Sequence[Memory]) -> None:
    """Raise BadRequestError unless the memories are a past: a prompted frame, then the last steps without a gap."""
    steps = [memory.step for memory in past]
    prompted = [memory.conditioning for memory in past]
    gapless = [0, *range(max(1, state.step - len(past) + 2), state.step + 1)]
    if prompted != [step == 0 for step in steps] or steps != gapless or steps[-1] != state.step:
        raise BadRequestError("states: a state does not fit its memory, start tracking again from this frame")
