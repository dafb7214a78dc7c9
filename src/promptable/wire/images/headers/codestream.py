"""The codestream of a JPEG 2000 (ITU-T T.800): its size, its tiles, and the memory that it asks of a decoder.

Only its markers are read, without numpy: commands over CVAT look at the same before they show a picture.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod

from promptable.wire.images.broken import over_bound, unsupported

START = b"\xff\x4f\xff\x51"
MOST_BOXES = 1000
MOST_SEGMENTS = 100_000
"""The most segments of all headers, and parts of tiles, together."""
MOST_BLOCKS = 100_000
"""The most code-blocks and precincts that any picture may have, beside one for every ``_PIXELS_A_BLOCK`` pixels."""

_PIXELS_A_BLOCK = 32
_BYTES_A_BLOCK = 256
"""What OpenJPEG takes for each, measured (some 264). For each precinct and layer it takes two bytes more."""
_CODESTREAM, _HEADER = b"jp2c", b"jp2h"
_TILE_PART, _PART_DATA = b"\xff\x90", b"\xff\x93"
_CODING, _CODING_OF_COMPONENT = b"\xff\x52", b"\xff\x53"
_MOST_LEVELS = 32
_LARGEST_PRECINCT = 15

Hw = tuple[int, int]


@dataclass(frozen=True)
class Coding:
    """How components are cut up (table A.15 and following): code-blocks and, from the coarsest of ``levels`` + 1
    resolutions on, precincts. Widths and heights are exponents of two."""

    layers: int
    levels: int
    block: tuple[int, int]
    precincts: Sequence[tuple[int, int]]

    def blocks(self, wh: tuple[int, int]) -> int:
        """Code-blocks and precincts of one component of a tile this wide and high, at most; layers in their memory."""
        found, most = 0, 0
        for resolution, (across, down) in enumerate(self.precincts):
            width, height = (ceil(side / 2 ** (self.levels - resolution)) for side in wh)
            half, bands = (1, 3) if resolution else (0, 1)  # bands are half as large as their resolution, but the first
            precincts = ceil(width / 2**across) * ceil(height / 2**down)
            block = max(min(self.block[0], across - half), 0), max(min(self.block[1], down - half), 0)
            each = ceil(width / 2 ** (half + block[0])) * ceil(height / 2 ** (half + block[1]))
            found, most = found + bands * (precincts + each), max(most, precincts)
        return found + 2 * self.layers * len(self.precincts) * most // _BYTES_A_BLOCK


@dataclass(frozen=True)
class Codestream:
    """What the headers say: height and width, the number of components and their bits, how many tiles there are to be
    and how many have data, and the number of code-blocks and precincts of all."""

    hw: Hw
    components: int
    bits: frozenset[int]
    tiles: int
    found: int
    blocks: int

    def check_blocks(self) -> None:
        """Raise BadRequestError for more of them than any camera or program makes: each takes memory."""
        most = MOST_BLOCKS + prod(self.hw) // _PIXELS_A_BLOCK
        if self.blocks > most:
            raise over_bound("JPEG 2000", f"{most} code-blocks and precincts of its size", f"{self.blocks}")


def read(data: bytes) -> Codestream:
    """Read the codestream of a file, JP2 or bare. Raises ValueError, struct.error, BadRequestError."""
    at = 0 if data.startswith(START) else _position(data)
    if data[at : at + 4] != START:
        raise ValueError("no codestream")
    x2, y2, x1, y1, width, height, tile_x, tile_y, components = struct.unpack_from(">8x8IH", data, at)
    if x2 <= x1 or y2 <= y1:
        raise ValueError("no height or width")
    tiles = prod(-(-(end - start) // size) for end, size, start in ((x2, width, tile_x), (y2, height, tile_y)))
    bits = frozenset(1 + (depth & 0x7F) for depth in data[at + 42 : at + 42 + 3 * components : 3])
    found: set[int] = set()
    codings: list[Coding] = []
    for marker, place in _segments(data, at + len(START) // 2):
        if marker == _TILE_PART:
            found.add(struct.unpack_from(">4xH", data, place)[0])
        elif marker in (_CODING, _CODING_OF_COMPONENT):
            codings.append(_coding(data, place, codings, components))
    a_tile = max((coding.blocks((min(width, x2 - x1), min(height, y2 - y1))) for coding in codings), default=0)
    return Codestream((y2 - y1, x2 - x1), components, bits, tiles, len(found), components * tiles * a_tile)


def _segments(data: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    """The marker and position of each segment of the main header and of those of the parts of tiles."""
    end = None
    for _ in range(MOST_SEGMENTS):
        marker = data[at : at + 2]
        if at == end and marker != _TILE_PART:
            return
        yield marker, at
        if marker == _TILE_PART:
            end = at + (struct.unpack_from(">6xI", data, at)[0] or len(data))  # without a length it is the last
            at += 12
        elif marker == _PART_DATA and end is not None:
            at = end
        else:
            at += 2 + struct.unpack_from(">2xH", data, at)[0]
    raise over_bound("JPEG 2000", f"{MOST_SEGMENTS} segments", "more")


def _coding(data: bytes, at: int, before: Sequence[Coding], components: int) -> Coding:
    """What a COD or COC segment says; the layers of a COC are those of the COD before."""
    if data[at : at + 2] == _CODING:
        own, layers, at = data[at + 4], struct.unpack_from(">6xH", data, at)[0], at + 9
    else:
        at += 5 if components < 257 else 6
        own, layers, at = data[at], max((coding.layers for coding in before), default=1), at + 1
    levels, across, down = struct.unpack_from("3B", data, at)
    if levels > _MOST_LEVELS:
        raise ValueError(f"it has {levels} levels")
    sizes = data[at + 5 : at + 6 + levels] if own & 1 else bytes([0xFF] * (levels + 1))
    if len(sizes) <= levels:
        raise ValueError("it ends early")
    return Coding(layers, levels, ((across & 15) + 2, (down & 15) + 2), [(size & 15, size >> 4) for size in sizes])


def _position(data: bytes) -> int:
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
