"""The errors for picture files that cannot be read: damaged files, and intact files with an unsupported feature."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL.Image import DecompressionBombError

from promptable.errors import BadRequestError, OutOfMemoryError

# The errors that our header readers and Pillow are known to raise for damaged files.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    DecompressionBombError,
    struct.error,
    zlib.error,
)


def unsupported(what: str, instead: str = "save it as 8-bit PNG or JPEG") -> BadRequestError:
    """The error for an intact file: ``what`` in it is not supported, and what to do ``instead``."""
    return BadRequestError(f"image: {what} is not supported: {instead}")


def over_bound(kind: str, most: str, got: str) -> BadRequestError:
    """The error for a file that would take too long to read; raised before any pixel is decoded."""
    return BadRequestError(f"image: expected a {kind} of at most {most}, got {got}")


@contextmanager
def refusing_broken_files(kind: str) -> Iterator[None]:
    """Turn errors inside, which the file caused, into BadRequestError, and MemoryError into OutOfMemoryError."""
    try:
        yield
    except BadRequestError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError("not enough memory to decode the picture") from error
    except _BROKEN as error:
        reason = "it ends early" if isinstance(error, struct.error | IndexError) else str(error)
        raise BadRequestError(f"image: expected a complete picture file, got a broken {kind}: {reason}") from error
