"""JPEG 2000 (ITU-T T.800): JP2 files and bare codestreams, decoded by OpenJPEG."""

import struct
from dataclasses import dataclass, field
from io import BytesIO
from math import prod

import numpy as np
from numpy.typing import NDArray
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from promptable.wire.images.broken import over_bound, unsupported
from promptable.wire.images.levels import stretched
from promptable.wire.images.picture import colours_of, gray_to_rgb

MOST_BOXES = 1000
MOST_SEGMENTS = 100_000
"""The most segments before the first tile and parts of tiles, together."""

_CODESTREAM, _HEADER = b"jp2c", b"jp2h"
_START = b"\xff\x4f\xff\x51"
_TILE_PART = b"\xff\x90"


@dataclass(frozen=True)
class Jpeg2000:
    """A picture of 1 to 4 components; ``deep`` is whether it is gray of more than 8 bits."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    deep: bool

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``. The size in the file's boxes, for which Pillow takes memory, must be the codestream's."""
        picture = Jpeg2KImageFile(BytesIO(self.data))
        if picture.size != self.hw[::-1]:
            raise ValueError(f"its boxes say {picture.width} x {picture.height} pixels, its codestream another size")
        picture.load()
        if self.deep:
            return gray_to_rgb(stretched(np.asarray(picture)))
        return gray_to_rgb(np.asarray(picture.getchannel(0))) if picture.mode in ("L", "LA") else colours_of(picture)


def read(data: bytes) -> Jpeg2000:
    """Read the header of the codestream."""
    at = 0 if data.startswith(_START) else _codestream(data)
    if data[at : at + 4] != _START:
        raise ValueError("no codestream")
    x2, y2, x1, y1 = struct.unpack_from(">8xIIII", data, at)
    (components,) = struct.unpack_from(">H", data, at + 40)
    bits = {1 + (depth & 0x7F) for depth in data[at + 42 : at + 42 + 3 * components : 3]}
    if not 1 <= components <= 4 or len(bits) != 1 or max(bits) > 16 or (components == 2 and max(bits) > 8):
        depths = " and ".join(map(str, sorted(bits)))
        raise unsupported(f"a JPEG 2000 of {components} components of {depths} bits")
    if x2 <= x1 or y2 <= y1:
        raise ValueError("no height or width")
    _check_tiles(data, at, (x2, y2))
    return Jpeg2000(data, (y2 - y1, x2 - x1), components == 1 and max(bits) > 8)


def _check_tiles(data: bytes, at: int, end_xy: tuple[int, int]) -> None:
    """Raise ValueError if a tile has no data: OpenJPEG leaves it black."""
    size_and_start = struct.unpack_from(">24xIIII", data, at)
    sides = zip(end_xy, size_and_start[:2], size_and_start[2:], strict=True)
    expected = prod(-(-(end - start) // size) for end, size, start in sides)
    if (found := len(_tiles(data, at))) < expected:
        raise ValueError(f"it has {found} of its {expected} tiles")


def _tiles(data: bytes, at: int) -> set[int]:
    """The numbers of the tiles that have data, from the segments of the codestream at ``at``."""
    found: set[int] = set()
    at += len(_START) // 2
    for _ in range(MOST_SEGMENTS):
        if data[at : at + 2] == _TILE_PART:
            tile, length = struct.unpack_from(">4xHI", data, at)
            found.add(tile)
            at += length or len(data)  # without a length it is the last
        elif found:
            return found
        else:
            at += 2 + struct.unpack_from(">2xH", data, at)[0]
    raise over_bound("JPEG 2000", f"{MOST_SEGMENTS} segments", "more")


def _codestream(data: bytes) -> int:
    """The position of the codestream in the boxes of a JP2 file."""
    at = 0
    for _ in range(MOST_BOXES):
        length, name = struct.unpack_from(">I4s", data, at)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">8xQ", data, at)
            header = 16
        if name == _CODESTREAM:
            return at + header
        if name == _HEADER and b"pclr" in data[at : at + length]:
            raise unsupported("a JPEG 2000 with a palette")
        if length < header:
            raise ValueError("a box without a length")
        at += length
    raise over_bound("JPEG 2000", f"{MOST_BOXES} boxes before its codestream", "more")
