"""PBM, PGM and PPM (netpbm.sourceforge.net), in the text and the binary formats: the first picture of the file."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.wire.images.broken import over_bound
from promptable.wire.images.levels import stretched
from promptable.wire.images.picture import gray_to_rgb

MOST_COMMENTS = 100_000
"""The most comments of a text format; each takes some hundred bytes of memory until they are out."""

_TOKEN = re.compile(rb"(?>[ \t\n\v\f\r]|#[^\r\n]*+[\r\n])*+(\d{1,9})")
_COMMENT = re.compile(rb"#[^\r\n]*+")
_NUMBERS = re.compile(rb"[\d \t\n\v\f\r]*+")
_BITS = re.compile(rb"[01 \t\n\v\f\r]*+")


@dataclass(frozen=True)
class Netpbm:
    """A picture of 1 or 3 ``channels``. Values up to ``maxval``, as ``text`` or bytes, begin at ``at``."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    channels: int
    maxval: int
    bitmap: bool
    text: bool
    at: int

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``. Gray of more than 8 bits is stretched; else values are scaled: ``maxval`` becomes 255."""
        if self.bitmap:
            black = self._text_bits() if self.text else self._packed_bits()
            return gray_to_rgb(np.where(black, np.uint8(0), np.uint8(255)))
        values = (self._numbers() if self.text else self._bytes()).reshape(*self.hw, self.channels)
        if self.channels == 1 and self.maxval > 255:
            return gray_to_rgb(stretched(values[..., 0]))
        levels: NDArray[np.uint8] = self._scale()[np.minimum(values, self.maxval)]
        return gray_to_rgb(levels[..., 0]) if self.channels == 1 else levels

    def _scale(self) -> NDArray[np.uint8]:
        """The level of each value from 0 to ``maxval``, uint8 [maxval + 1]."""
        levels: NDArray[np.float64] = np.arange(self.maxval + 1) * 255 / self.maxval
        return np.rint(levels).astype(np.uint8)

    def _bytes(self) -> NDArray[Any]:
        height, width = self.hw
        return np.frombuffer(self.data, ">u2" if self.maxval > 255 else "u1", height * width * self.channels, self.at)

    def _packed_bits(self) -> NDArray[np.uint8]:
        height, width = self.hw
        row = (width + 7) // 8
        packed = np.frombuffer(self.data, np.uint8, height * row, self.at).reshape(height, row)
        return np.unpackbits(packed, axis=1, count=width)

    def _numbers(self) -> NDArray[Any]:
        height, width = self.hw
        return self._all_of(height * width * self.channels, np.fromstring(self._text(_NUMBERS), np.uint32, sep=" "))

    def _text_bits(self) -> NDArray[np.bool_]:
        """The bits of a text PBM, whose digits need no space between them."""
        height, width = self.hw
        marks = np.frombuffer(self._text(_BITS), np.uint8)
        bits = marks[(marks == ord("0")) | (marks == ord("1"))]
        black: NDArray[np.bool_] = self._all_of(height * width, bits).reshape(self.hw) == ord("1")
        return black

    def _text(self, allowed: re.Pattern[bytes]) -> bytes:
        text = _COMMENT.sub(b"", self.data[self.at :])
        if not allowed.fullmatch(text):
            raise ValueError("its values are no numbers")
        return text

    def _all_of(self, number: int, values: NDArray[Any]) -> NDArray[Any]:
        if values.size < number:
            raise ValueError("it ends early")
        return values[:number]


def read(data: bytes) -> Netpbm:
    """Read the numbers of the header."""
    number = int(data[1:2])
    bitmap, text = number in (1, 4), number <= 3
    if text and (comments := data.count(b"#")) > MOST_COMMENTS:
        raise over_bound("PBM, PGM or PPM", f"{MOST_COMMENTS} comments", f"{comments}")
    width, at = _token(data, 2)
    height, at = _token(data, at)
    maxval, at = (1, at) if bitmap else _token(data, at)
    if not width or not height or not 0 < maxval < 65536:
        raise ValueError("a header that Netpbm does not know")
    return Netpbm(data, (height, width), 3 if number in (3, 6) else 1, maxval, bitmap, text, at + 1)


def _token(data: bytes, at: int) -> tuple[int, int]:
    """The next number, and the position after it."""
    found = _TOKEN.match(data, at)
    if found is None:
        raise ValueError("no number where its header needs one")
    return int(found[1]), found.end()
