"""JPEG, and of an MPO file its first JPEG (ITU-T T.81)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promptable.wire.images.broken import unsupported
from promptable.wire.images.headers import jpeg
from promptable.wire.images.picture import colours_of, decoded_array, first_three, gray_to_rgb

_LAST = b"\xff\xd9"
_DECODED_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # sequential and progressive, by Huffman's and arithmetic codes
_INKS = "CMYK"
_MIDDLE = 127, 128
"""What libjpeg gives pixels whose data are missing before the file's last marker, where Pillow is not told of it."""
_MORE = b"".join([bytes(range(1, 65)) + b"\xff" + bytes([restart]) for restart in range(0xD0, 0xD8)])
"""Data that continue a scan, also where its decoder waits for any of the eight markers of a restart."""
_MODES = {1: ("L", "L"), 3: ("RGBX", "RGB"), 4: (_INKS, "CMYK;I")}  # inks inverted, as Adobe writes them


@dataclass(frozen=True)
class Jpeg:
    """A JPEG of 1, 3 or 4 components of 8 bits, whose first scan's marker is at ``first_scan``."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    components: int
    first_scan: int

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``. If the last pixel is one that may be missing, the picture is decoded twice."""
        mode, _ = _MODES[self.components]
        pixels = self._decoded(self.data)
        if np.isin(pixels[-1, -1, ...].ravel()[:3], _MIDDLE).all() and self._ends_early(pixels):
            raise ValueError("not enough image data")
        if mode == _INKS:
            return colours_of(Image.fromarray(pixels, mode))
        return gray_to_rgb(pixels) if mode == "L" else first_three(pixels)

    def _decoded(self, data: bytes) -> NDArray[np.uint8]:
        """The pixels [H, W] or [H, W, 4] of this file or one like it."""
        mode, rawmode = _MODES[self.components]
        return decoded_array(mode, self.hw, data, "jpeg", rawmode, "")

    def _ends_early(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether more data before the last marker would change the pixels; after a whole picture none are read."""
        end = self.data.find(_LAST, self.first_scan)
        return not np.array_equal(self._decoded(self.data[:end] + _MORE + self.data[end:]), pixels)


def read(data: bytes) -> Jpeg:
    """Read the frame header, and check the number of scans."""
    header = jpeg.read(data)
    if header.frame not in _DECODED_FRAMES:
        raise unsupported(f"a lossless or hierarchical JPEG (SOF{header.frame - 0xC0})")
    if header.bits != 8 or header.components not in _MODES:
        raise unsupported(f"a JPEG of {header.components} components of {header.bits} bits")
    if not all(header.hw):
        raise unsupported("a JPEG whose header does not say its height and width")
    return Jpeg(data, header.hw, header.components, header.first_scan)
