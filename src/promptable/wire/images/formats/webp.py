"""WebP (RFC 9649): the canvas by its first chunk, the pixels through libwebp. Of an animation the first picture."""

import struct
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.WebPImagePlugin import WebPImageFile

from promptable.wire.images.picture import colours_of


@dataclass(frozen=True)
class WebP:
    """A lossy, lossless or extended file."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]

    def rgb(self) -> NDArray[np.uint8]:
        """As ``Picture`` has it. The reader makes room for the canvas when it opens the file, so it is opened here."""
        picture = WebPImageFile(BytesIO(self.data))
        if (picture.height, picture.width) != self.hw:
            raise ValueError("two different sizes")
        picture.load()
        return colours_of(picture)


def read(data: bytes) -> WebP:
    """The size in the first chunk, in the form that each of the three has it."""
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
