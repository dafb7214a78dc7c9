"""The interface of a picture file whose header is read, and functions that all kinds of files share."""

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PIXELS = {"L": "u1", "P": "u1", "I;16": "u2", "RGBX": "4u1", "RGBA": "4u1", "CMYK": "4u1"}
"""The dtype of a pixel for the modes whose pixels lie in Pillow's memory as they lie in an array."""
_MARKS = 165, 90


class Picture(Protocol):
    """A picture file whose header is read and meets the bounds of its kind; no pixel is decoded yet."""

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the pixels, as the file says: it may lie, and say 0."""

    def rgb(self) -> NDArray[np.uint8]:
        """The pixels, uint8 RGB [H, W, 3], writable. Raises the same errors as Pillow for damaged files."""


def decoded(mode: str, hw: tuple[int, int], data: bytes, codec: str, *args: Any) -> Image.Image:
    """The pixels that one of Pillow's C decoders reads from ``data``. Raises ValueError for truncated or damaged data.

    The decoders refuse data of a picture larger than ``hw``, and report data of a smaller picture as truncated.
    """
    height, width = hw
    picture = Image.new(mode, (width, height), None)
    picture.frombytes(data, codec, *args)
    return picture


def decoded_array(mode: str, hw: tuple[int, int], data: bytes, codec: str, *args: Any) -> NDArray[Any]:
    """As ``decoded``, but the decoder writes into an array, so that nothing is copied.

    uint8 [H, W] for the modes L and P, uint16 [H, W] for I;16, uint8 [H, W, 4] for RGBX, RGBA and CMYK.
    """
    pixels = np.empty(hw, _PIXELS[mode])
    _decode_into(pixels, mode, data, codec, *args)
    return pixels


def decoded_up_to(
    last: tuple[int, int], mode: str, hw: tuple[int, int], data: bytes, codec: str, *args: Any
) -> NDArray[Any]:
    """As ``decoded_array``, for a decoder that does not report missing rows. Raises ValueError for them.

    ``last`` is the row and column of the pixel that the decoder writes last: it is missing if it keeps the value that
    it had before, whatever that is. So only a pixel that happens to have the first such value is decoded twice.
    """
    for mark in _MARKS:
        pixels = np.empty(hw, _PIXELS[mode])
        pixels[last] = mark
        _decode_into(pixels, mode, data, codec, *args)
        if (pixels[last] != mark).any():
            return pixels
    raise ValueError("not enough image data")


def _decode_into(pixels: NDArray[Any], mode: str, data: bytes, codec: str, *args: Any) -> None:
    height, width = pixels.shape[:2]
    Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1).frombytes(data, codec, *args)


def first_three(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels of four channels, [H, W, 4], without the last channel."""
    return _converted(pixels, cv2.COLOR_RGBA2RGB)


def gray_to_rgb(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three equal channels [H, W, 3] of gray [H, W]."""
    return _converted(gray, cv2.COLOR_GRAY2RGB)


def coloured(indices: NDArray[np.uint8], palette_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours, uint8 [H, W, 3], of indices [H, W] into a palette [N, 3]; indices beyond the palette are black."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette_rgb)] = palette_rgb[:256]
    return colours[indices]


def colours_of(picture: Image.Image) -> NDArray[np.uint8]:
    """A decoded colour picture as uint8 RGB [H, W, 3], without alpha; CMYK is converted without a colour profile."""
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _converted(pixels: NDArray[np.uint8], how: int) -> NDArray[np.uint8]:
    """RGB [H, W, 3] by OpenCV's conversion ``how``. The array is numpy's, whose lack of memory is a MemoryError."""
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    cv2.cvtColor(pixels, how, rgb)
    return rgb
