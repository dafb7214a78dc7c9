"""PNG (W3C, Portable Network Graphics): the four kinds of chunks that make the picture; all others are skipped.

For an animation (APNG), this gives the picture that readers without animation show.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promptable.wire.images.broken import over_bound, unsupported
from promptable.wire.images.levels import stretched
from promptable.wire.images.picture import coloured, decoded_up_to, first_three, gray_to_rgb

MOST_CHUNKS = 100_000

_PALETTE = 3
# (colour type, bits) -> mode and rawmode of Pillow's, which make gray and alpha RGBA of three equal colours. A pixel of
# 16-bit gray and alpha has 4 bytes, as one of 8-bit RGBA, and PNG's filters work on bytes: read as such, its first two
# are the gray value.
_MODES = {
    (0, 1): ("P", "P;1"),
    (0, 2): ("L", "L;2"),
    (0, 4): ("L", "L;4"),
    (0, 8): ("L", "L"),
    (0, 16): ("I;16", "I;16B"),
    (2, 8): ("RGBX", "RGB"),
    (2, 16): ("RGBX", "RGB;16B"),
    (3, 1): ("P", "P;1"),
    (3, 2): ("P", "P;2"),
    (3, 4): ("P", "P;4"),
    (3, 8): ("P", "P"),
    (4, 8): ("RGBA", "LA"),
    (4, 16): ("RGBA", "RGBA"),
    (6, 8): ("RGBA", "RGBA"),
    (6, 16): ("RGBA", "RGBA;16B"),
}


@dataclass(frozen=True)
class Png:
    """The header's fields, the palette uint8 [N, 3], and the positions of the pieces of the compressed pixels."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    colour_type: int
    bits: int
    interlaced: bool
    palette: NDArray[np.uint8]
    pieces: tuple[slice, ...] = field(repr=False)

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``."""
        mode, rawmode = _MODES[self.colour_type, self.bits]
        compressed = b"".join([self.data[piece] for piece in self.pieces])
        last = _last_of_passes(self.hw) if self.interlaced else (-1, -1)
        pixels = decoded_up_to(last, mode, self.hw, compressed, "zip", rawmode, int(self.interlaced))
        match self.colour_type, self.bits:
            case 0, 1:
                return gray_to_rgb(pixels * 255)
            case 0, 16:
                return gray_to_rgb(stretched(pixels))
            case 0, _:
                return gray_to_rgb(pixels)
            case 3, _:
                return coloured(pixels, self.palette)
            case 4, 16:
                return gray_to_rgb(stretched(pixels.view(">u2")[..., 0]))
        return first_three(pixels)


def read(data: bytes) -> Png:
    """Read the chunks that make the picture."""
    header, palette, pieces = None, b"", []
    for name, piece in _chunks(data):
        match name:
            case b"IHDR":
                header = header or _checked(data, name, piece)
            case b"PLTE":
                palette = _checked(data, name, piece)
            case b"IDAT":
                pieces.append(piece)
            case b"IEND":
                break
            case _ if name[:1].isupper():
                raise unsupported(f"a PNG with the chunk {name!r}")
    if header is None or not pieces:
        raise ValueError("no header, or no pixels")
    return _picture(data, header, palette, pieces)


def _last_of_passes(hw: tuple[int, int]) -> tuple[int, int]:
    """Row and column of the last pixel of an interlaced picture (Adam7): on the last odd row, which is of the seventh
    pass; in a picture of one row in the last odd column, of the sixth."""
    height, width = hw
    if height > 1:
        return height // 2 * 2 - 1, width - 1
    return 0, max(width // 2 * 2 - 1, 0)


def _chunks(data: bytes) -> Iterator[tuple[bytes, slice]]:
    """The name of each chunk and the position of its content; of a truncated chunk, the part that exists."""
    at = 8
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, slice(at + 8, at + 8 + length)
        at += length + 12
    raise over_bound("PNG", f"{MOST_CHUNKS} chunks", "more")


def _checked(data: bytes, name: bytes, piece: slice) -> bytes:
    """A chunk's content. The pixels have a checksum of their own, which the decoder checks."""
    content = data[piece]
    if struct.unpack_from(">I", data, piece.stop)[0] != zlib.crc32(content, zlib.crc32(name)):
        raise ValueError(f"wrong checksum of the chunk {name.decode()}")
    return content


def _picture(data: bytes, header: bytes, palette: bytes, pieces: list[slice]) -> Png:
    width, height, bits, colour_type, compression, filters, interlacing = struct.unpack(">IIBBBBB", header)
    if (colour_type, bits) not in _MODES or compression or filters or interlacing > 1 or not width or not height:
        raise ValueError("a header that PNG does not know")
    if colour_type == _PALETTE and not palette:
        raise ValueError("no palette")
    colours = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    return Png(data, (height, width), colour_type, bits, bool(interlacing), colours, tuple(pieces))
