"""Picture files to uint8 RGB, through Pillow, as CVAT itself reads them.

The rules, all of them what CVAT's own chunks show (cvat/apps/engine/media_extractors.py), except that its display
also equalizes 16-bit gray:

- gray of more than 8 bits and floats: the picture's finite minimum becomes 0, its maximum 255. NaN is black, -Infinity
  black, +Infinity white; a picture of one value is black. Colour of 16 bits keeps the high byte.
- alpha and palette transparency are dropped: the stored colours count.
- CMYK without a profile; CMYK JPEG is inverted, as Adobe writes it.
- EXIF orientation is not applied: CVAT has done it. (TIFF's own orientation tag is, by Pillow, for CVAT as for us.)
- of animations and pages, the first.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import DecompressionBombError, Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from promptable.errors import BadRequestError, OutOfMemoryError
from promptable.wire.fields import expected

# The readers are called directly because Image.open warns of, and refuses, large pictures by a limit of its own.
_READERS: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"BM": BmpImageFile,
    b"RIFF": WebPImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,
    b"MM\0+": TiffImageFile,
}

# The gray levels that a picture is stretched by are looked up where it can have only so many different values.
_MOST_ENTRIES = 2**16
_PIECE = 2**18  # values that are stretched at a time

# What Pillow's readers are known to raise on broken files.
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


def hw(data: bytes, max_megapixels: float) -> tuple[int, int]:
    """Height and width that the pixels will have, by the file's header. Raises BadRequestError as ``decode`` does."""
    with _refusing_broken_files():
        picture = _opened(data, max_megapixels)
        return picture.height, picture.width


def decode(data: bytes, max_megapixels: float) -> NDArray[np.uint8]:
    """The picture as uint8 RGB [H, W, 3], writable.

    Raises BadRequestError, naming ``image``, when the file is of another format, is broken or truncated, or has more
    than ``max_megapixels`` million pixels by its header, which is checked before anything is decoded. Raises
    OutOfMemoryError for a picture that this machine cannot hold, which is not the file's fault.
    """
    with _refusing_broken_files():
        picture = _opened(data, max_megapixels)
        picture.load()
        return _to_rgb(picture)


def _opened(data: bytes, max_megapixels: float) -> ImageFile:
    picture = _reader_for(data)(BytesIO(data))
    _check_size(picture, max_megapixels)
    return picture


def _reader_for(data: bytes) -> type[ImageFile]:
    for signature, reader in _READERS.items():
        if data.startswith(signature):
            return reader
    raise expected("image", "a JPEG, PNG, BMP, WebP or TIFF file", data)


@contextmanager
def _refusing_broken_files() -> Iterator[None]:
    try:
        yield
    except BadRequestError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError("not enough memory to decode the picture") from error
    except _BROKEN as error:
        raise BadRequestError(f"image: expected a complete picture file, got a broken one: {error}") from error


def _check_size(picture: Image, max_megapixels: float) -> None:
    if picture.width * picture.height > max_megapixels * 1e6:
        size = f"{picture.width} x {picture.height}"
        raise BadRequestError(f"image: expected at most {max_megapixels:g} megapixels, got {size} pixels")


def _to_rgb(picture: Image) -> NDArray[np.uint8]:
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _gray_to_rgb(_stretched(np.asarray(picture)))
    if picture.mode == "L":
        return _gray_to_rgb(np.asarray(picture))
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _gray_to_rgb(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), np.uint8)


def _stretched(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The finite range of ``values`` [H, W] stretched to 0..255, piece by piece, so that copies stay small."""
    low, high = _finite_range(values)
    scale = _table(low, high) if values.dtype.kind in "iu" and high - low < _MOST_ENTRIES else _formula(low, high)
    flat, stretched = values.ravel(), np.empty(values.size, np.uint8)
    for start in range(0, values.size, _PIECE):
        stretched[start : start + _PIECE] = scale(flat[start : start + _PIECE])
    return stretched.reshape(values.shape)


def _finite_range(values: NDArray[np.generic]) -> tuple[float, float]:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _formula(low: float, high: float) -> Callable[[NDArray[np.generic]], NDArray[np.uint8]]:
    """From values to gray levels."""

    def scale(values: NDArray[np.generic]) -> NDArray[np.uint8]:
        bounded = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
        return np.rint((bounded - low) / ((high - low) or 1.0) * 255).astype(np.uint8)

    return scale


def _table(low: float, high: float) -> Callable[[NDArray[np.generic]], NDArray[np.uint8]]:
    """The formula for integers, worked out once for each value that there can be."""
    levels = _formula(low, high)(np.arange(low, high + 1))
    return lambda values: levels[values.astype(np.int64) - int(low)]
