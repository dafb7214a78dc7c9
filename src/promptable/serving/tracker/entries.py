"""The two entries of one memory in a store: its pointer, and its features, which fewer steps need."""

from dataclasses import dataclass

from promptable.models.sam2.memory import Memory, MemoryFeatures

DIGEST_BYTES = 16

_FEATURES_KEY = ":features"


@dataclass(frozen=True, eq=False)
class PointerEntry:
    """A memory without its features, and the ``digest`` of the only valid list of names that ends with its own."""

    digest: bytes
    memory: Memory

    @property
    def nbytes(self) -> int:
        return self.memory.pointer_nbytes

    def to_bytes(self) -> bytes:
        return self.digest + self.memory.pointer_bytes()


MemoryEntry = PointerEntry | MemoryFeatures
"""What one key of the store has; threads and steps share it."""


def pointer_key(model: str, name: str) -> str:
    """The key of the pointer of the memory with this id; ``model`` is the fingerprint of the model that made it."""
    return f"{model}:{name}:pointer"


def features_key(model: str, name: str) -> str:
    """As ``pointer_key``, of the features."""
    return f"{model}:{name}{_FEATURES_KEY}"


def read_entry(key: str, data: bytes) -> MemoryEntry:
    """The entry of a key from what ``to_bytes`` wrote. Raises ValueError for anything else, and for numbers that are
    not finite."""
    if key.endswith(_FEATURES_KEY):
        return MemoryFeatures.from_bytes(data)
    return PointerEntry(data[:DIGEST_BYTES], Memory.from_pointer_bytes(data[DIGEST_BYTES:]))
