"""GIF (CompuServe, GIF89a): the first image of the file, on its canvas."""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promptable.wire.images.broken import over_bound
from promptable.wire.images.picture import coloured, decoded_array

MOST_BLOCKS = 100_000
"""The most blocks before the first image: comments, application data and control of the display."""

_GRAYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
_EXTENSION, _IMAGE, _HOW_TO_SHOW = b"!", b",", 0xF9


@dataclass(frozen=True)
class Gif:
    """A canvas of ``hw``, and at ``left``, ``top`` on it the first image, ``frame_hw``, whose data begin at ``at``."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    left: int
    top: int
    frame_hw: tuple[int, int]
    interlaced: bool
    palette: NDArray[np.uint8]
    transparent: int
    at: int

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``. Around the image, the canvas has the transparent colour, or else the palette's first."""
        code_bits = self.data[self.at]
        data = self.data[self.at + 1 :]
        frame = decoded_array("L", self.frame_hw, data, "gif", code_bits, int(self.interlaced), -1)
        canvas = np.full(self.hw, self.transparent, np.uint8)
        height, width = self.frame_hw
        canvas[self.top : self.top + height, self.left : self.left + width] = frame
        return coloured(canvas, self.palette)


def read(data: bytes) -> Gif:
    """Read the blocks up to the first image."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    palette, at = _read_palette(data, 13, flags)
    at, transparent = _pass_extensions(data, at)
    left, top, frame_width, frame_height, frame_flags = struct.unpack_from("<HHHHB", data, at + 1)
    own_palette, at = _read_palette(data, at + 10, frame_flags)
    if not frame_width or not frame_height:
        raise ValueError("an image without pixels")
    return Gif(
        data,
        (max(height, top + frame_height), max(width, left + frame_width)),
        left,
        top,
        (frame_height, frame_width),
        bool(frame_flags & 0x40),
        next((colours for colours in (own_palette, palette) if colours is not None), _GRAYS),
        transparent,
        at,
    )


def _read_palette(data: bytes, at: int, flags: int) -> tuple[NDArray[np.uint8] | None, int]:
    """The palette, uint8 [N, 3], or None if the flags announce none; and the position after it."""
    if not flags & 0x80:
        return None, at
    colours = 2 << (flags & 7)
    return np.frombuffer(data, np.uint8, 3 * colours, at).reshape(-1, 3), at + 3 * colours


def _pass_extensions(data: bytes, at: int) -> tuple[int, int]:
    """The position of the first image's block, and the index of its transparent colour, 0 if there is none."""
    transparent = 0
    blocks = 0
    while (kind := data[at : at + 1]) != _IMAGE:
        if kind != _EXTENSION:
            raise ValueError("no image")
        if data[at + 1] == _HOW_TO_SHOW and data[at + 3] & 1:
            transparent = data[at + 6]
        at += 2
        while length := data[at]:
            at += length + 1
            blocks += 1
            if blocks > MOST_BLOCKS:
                raise over_bound("GIF", f"{MOST_BLOCKS} blocks before its first image", "more")
        at += 1
    return at, transparent
