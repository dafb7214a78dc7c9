"""The errors of files that cannot be read: broken ones, and whole ones that hold something unsupported."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL.Image import DecompressionBombError

from promptable.errors import BadRequestError, OutOfMemoryError

# What the readers of headers, and Pillow, are known to raise on broken files.
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
    """The error of a whole file: ``what`` it is, and what to do ``instead``."""
    return BadRequestError(f"image: {what} is not supported: {instead}")


def over_bound(kind: str, most: str, got: str) -> BadRequestError:
    """The error of a file that would take too long to read, before any of it is decoded."""
    return BadRequestError(f"image: expected a {kind} of at most {most}, got {got}")


@contextmanager
def refusing_broken_files(kind: str) -> Iterator[None]:
    """What goes wrong inside is the file's fault, except for a lack of memory."""
    try:
        yield
    except BadRequestError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError("not enough memory to decode the picture") from error
    except _BROKEN as error:
        reason = "it ends early" if isinstance(error, struct.error | IndexError) else str(error)
        raise BadRequestError(f"image: expected a complete picture file, got a broken {kind}: {reason}") from error
