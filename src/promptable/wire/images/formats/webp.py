"""WebP (RFC 9649): size from the first chunk, pixels decoded by libwebp; of an animation, the first picture."""

import struct
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.WebPImagePlugin import WebPImageFile

from promptable.wire.images.picture import colours_of


@dataclass(frozen=True)
class WebP:
    """A lossy, lossless or extended WebP file."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``. The file is opened only here, since its reader then allocates the canvas."""
        picture = WebPImageFile(BytesIO(self.data))
        if (picture.height, picture.width) != self.hw:
            raise ValueError("two different sizes")
        picture.load()
        return colours_of(picture)


def read(data: bytes) -> WebP:
    """Read the size from the first chunk, which has another form for each of the three kinds of file."""
    match data[12:16]:
        case b"VP8X":
            width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
        case other:
            raise ValueError(f"a first chunk {other!r}")
    return WebP(data, (height, width))
