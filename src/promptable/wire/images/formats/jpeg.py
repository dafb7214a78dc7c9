"""JPEG, and of an MPO file its first JPEG (ITU-T T.81, annex B).

Each scan of a progressive file is decoded over the whole picture. So the number of scans is bounded, and also the
number of scans times the number of pixels.
"""

import re
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from promptable.wire.images.broken import over_bound, unsupported
from promptable.wire.images.picture import colours_of, decoded_array, first_three, gray_to_rgb

MOST_SCANS = 500
MOST_SCANNED_MEGAPIXELS = 2000
"""The limit of scans times megapixels: for a picture with 20 scans, 100 megapixels."""
MOST_SEGMENTS = 10_000
MOST_FILLING = 2**20
"""The most meaningless bytes between the segments before the first scan."""

_LAST = b"\xff\xd9"
_SCAN = int.from_bytes(b"\xff\xda", "little")
_MARKER = re.compile(rb"[^\xff]*+\xff++([^\xff])")
_BARE = frozenset([0x00, 0x01, *range(0xD0, 0xD9)])  # markers without a segment
_END, _START_OF_SCAN = 0xD9, 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
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
    frame, first_scan = _frame(data)
    picture = _picture(data, *frame, first_scan)
    _check_scans(_scans(data, first_scan), picture.hw)
    return picture


def _frame(data: bytes) -> tuple[tuple[int, int], int]:
    """The frame's marker and the position of its segment; and the position of the first scan's marker."""
    frame, at, filling = None, 2, 0
    for _ in range(MOST_SEGMENTS):
        marker = _MARKER.match(data, at)
        if marker is None:
            raise ValueError("no scan")
        filling += marker.end() - at - 2
        if filling > MOST_FILLING:
            raise over_bound("JPEG", f"{MOST_FILLING} bytes between its segments", "more")
        code, at = marker[1][0], marker.end()
        if code == _START_OF_SCAN and frame is not None:
            return frame, at - 2
        if code in (_END, _START_OF_SCAN):
            raise ValueError("no frame before the first scan")
        if code in _FRAMES:
            frame = (code, at)
        if code not in _BARE:
            at += struct.unpack_from(">H", data, at)[0]
    raise over_bound("JPEG", f"{MOST_SEGMENTS} segments before the first scan", "more")


def _picture(data: bytes, code: int, at: int, first_scan: int) -> Jpeg:
    bits, height, width, components = struct.unpack_from(">2xBHHB", data, at)
    if code not in _DECODED_FRAMES:
        raise unsupported(f"a lossless or hierarchical JPEG (SOF{code - 0xC0})")
    if bits != 8 or components not in _MODES:
        raise unsupported(f"a JPEG of {components} components of {bits} bits")
    if not height or not width:
        raise unsupported("a JPEG whose header does not say its height and width")
    return Jpeg(data, (height, width), components, first_scan)


def _scans(data: bytes, first: int) -> int:
    """How many markers of scans there are from the position ``first`` on; several times as fast as ``bytes.count``."""
    pairs = [np.frombuffer(data, "<u2", (len(data) - at) // 2, at) for at in (first, first + 1)]
    return sum(int(np.count_nonzero(each == _SCAN)) for each in pairs)


def _check_scans(scans: int, hw: tuple[int, int]) -> None:
    if scans > MOST_SCANS:
        raise over_bound("JPEG", f"{MOST_SCANS} scans", f"{scans}")
    scanned = scans * hw[0] * hw[1] / 1e6
    if scans > 1 and scanned > MOST_SCANNED_MEGAPIXELS:
        raise over_bound("JPEG", f"{MOST_SCANNED_MEGAPIXELS} megapixels in all of its scans", f"{scanned:.0f}")
