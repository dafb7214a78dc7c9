"""The segments of a JPEG up to its first scan, and how many scans it has (ITU-T T.81, annex B)."""

import re
import struct
from dataclasses import dataclass
from math import prod

from promptable.wire.images.broken import over_bound
from promptable.wire.images.headers import scans

MOST_SCANS = 500
MOST_SEGMENTS = 10_000
MOST_FILLING = 2**20
"""The most meaningless bytes between the segments before the first scan."""

_MARKER = re.compile(rb"[^\xff]*+\xff++([^\xff])")
_BARE = frozenset([0x00, 0x01, *range(0xD0, 0xD9)])  # markers without a segment
_END, _START_OF_SCAN = 0xD9, 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class JpegHeader:
    """The frame's marker (0xC0 and following) and what it says, and where the first scan's marker is.

    Height and width may be 0, as the file says.
    """

    frame: int
    bits: int
    hw: tuple[int, int]
    components: int
    first_scan: int


def read(data: bytes) -> JpegHeader:
    """Read the frame header, and check the number of scans. Raises ValueError, struct.error, BadRequestError."""
    header = read_frame(data)
    found = scans.count(data, header.first_scan)
    if found > MOST_SCANS:
        raise over_bound("JPEG", f"{MOST_SCANS} scans", f"{found}")
    if found > 1:
        scans.check_scanned("JPEG", found * prod(header.hw))
    return header


def read_frame(data: bytes) -> JpegHeader:
    """Read the frame header alone. Raises as ``read``."""
    (code, at), first_scan = _frame(data)
    bits, height, width, components = struct.unpack_from(">2xBHHB", data, at)
    return JpegHeader(code, bits, (height, width), components, first_scan)


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
