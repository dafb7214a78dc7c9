"""The simplest entries of a store."""


class Word(bytes):
    """A word of so many bytes; it equals the bytes that it is written as."""

    @property
    def nbytes(self) -> int:
        return len(self)

    def to_bytes(self) -> bytes:
        return bytes(self)


def read_word(_key: str, data: bytes) -> Word:
    """Raises ValueError for what no word begins with."""
    if data.startswith(b"\0\0"):
        raise ValueError("no word begins so")
    return Word(data)


def words(**texts: bytes) -> dict[str, Word]:
    """Entries by their keys."""
    return {key: Word(text) for key, text in texts.items()}
