"""BMP (Microsoft, bitmap storage): read by Pillow's Python class, since the header is small."""

import struct
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile

from promptable.wire.images.broken import over_bound
from promptable.wire.images.picture import coloured, colours_of

MOST_RUN_LENGTH_BYTES = 8 * 2**20
"""The most bytes of a file that is compressed by run lengths, which Pillow unpacks in Python (slowly)."""

_FILE_HEADER = 14
_OLD_HEADER = 12  # OS/2's, whose palette has 3 bytes a colour
_RUN_LENGTHS = (1, 2)
_NO_GRAY = b"\1\2\3"


@dataclass(frozen=True)
class Bmp:
    """A picture whose pixels are colours, or indices into ``palette``, uint8 [N, 3], if it has one."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    palette: NDArray[np.uint8] | None = field(repr=False)

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``."""
        picture = BmpImageFile(BytesIO(self.data))
        picture.load()
        return colours_of(picture) if self.palette is None else coloured(np.asarray(picture), self.palette)


def read(data: bytes) -> Bmp:
    """Read the header, and the palette of a picture of up to 8 bits per pixel."""
    header, width, height, bits, compression, colours = _header(data)
    if compression in _RUN_LENGTHS and len(data) > MOST_RUN_LENGTH_BYTES:
        raise over_bound("BMP", f"{MOST_RUN_LENGTH_BYTES} bytes in run lengths", f"{len(data)}")
    if bits > 8:
        return Bmp(data, (height, width), None)
    start, size = _FILE_HEADER + header, 3 if header == _OLD_HEADER else 4
    entries = np.frombuffer(data, np.uint8, size * min(colours or 1 << bits, 1 << bits), start)
    return Bmp(_with_indices(data, start), (height, width), entries.reshape(-1, size)[:, 2::-1])


def _header(data: bytes) -> tuple[int, int, int, int, int, int]:
    """The header's size, the width, the height (without its sign), the bits, the compression and the colours."""
    (header,) = struct.unpack_from("<I", data, _FILE_HEADER)
    if header == _OLD_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, _FILE_HEADER + 4)
        return header, width, height, bits, 0, 0
    width, height, _, bits, compression, colours = struct.unpack_from("<iiHHI12xI", data, _FILE_HEADER + 4)
    return header, width, abs(height), bits, compression, colours


def _with_indices(data: bytes, palette: int) -> bytes:
    """The file with its first palette colour replaced by one that is not gray.

    If all palette colours are gray, Pillow reads the indices as gray values of another bit depth, and returns noise.
    """
    return data[:palette] + _NO_GRAY + data[palette + len(_NO_GRAY) :]
