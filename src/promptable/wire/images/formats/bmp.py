"""BMP (Microsoft, bitmap storage): through Pillow's reader, whose header is small."""

import struct
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile

from promptable.wire.images.broken import over_bound
from promptable.wire.images.picture import coloured, colours_of

MOST_RUN_LENGTH_BYTES = 8 * 2**20
"""Bytes of a file of run lengths, which Pillow unpacks in Python."""

_FILE_HEADER = 14
_OLD_HEADER = 12  # OS/2's, whose palette has 3 bytes a colour
_RUN_LENGTHS = (1, 2)
_NO_GRAY = b"\1\2\3"


@dataclass(frozen=True)
class Bmp:
    """A picture of colours, or of indices where it has a ``palette``, uint8 [N, 3]."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    palette: NDArray[np.uint8] | None = field(repr=False)

    def rgb(self) -> NDArray[np.uint8]:
        """As ``Picture`` has it."""
        picture = BmpImageFile(BytesIO(self.data))
        picture.load()
        return colours_of(picture) if self.palette is None else coloured(np.asarray(picture), self.palette)


def read(data: bytes) -> Bmp:
    """The header, and the palette of pictures of up to 8 bits."""
    header, width, height, bits, compression, colours = _header(data)
    if compression in _RUN_LENGTHS and len(data) > MOST_RUN_LENGTH_BYTES:
        raise over_bound("BMP", f"{MOST_RUN_LENGTH_BYTES} bytes in run lengths", f"{len(data)}")
    if bits > 8:
        return Bmp(data, (height, width), None)
    start, size = _FILE_HEADER + header, 3 if header == _OLD_HEADER else 4
    entries = np.frombuffer(data, np.uint8, size * min(colours or 1 << bits, 1 << bits), start)
    return Bmp(_with_indices(data, start), (height, width), entries.reshape(-1, size)[:, 2::-1])


def _header(data: bytes) -> tuple[int, int, int, int, int, int]:
    """The header's size, width, height (downwards where negative), bits, compression and colours."""
    (header,) = struct.unpack_from("<I", data, _FILE_HEADER)
    if header == _OLD_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, _FILE_HEADER + 4)
        return header, width, height, bits, 0, 0
    width, height, _, bits, compression, colours = struct.unpack_from("<iiHHI12xI", data, _FILE_HEADER + 4)
    if width < 1 or not height:
        raise ValueError("no height or width")
    return header, width, abs(height), bits, compression, colours


def _with_indices(data: bytes, palette: int) -> bytes:
    """The file with a first colour that is no gray. Pillow takes pictures of gray palettes for gray ones, of other bits
    than their indices have, and reads noise.
    """
    return data[:palette] + _NO_GRAY + data[palette + len(_NO_GRAY) :]
