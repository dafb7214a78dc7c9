"""The tags of a TIFF's first page (TIFF 6.0 and BigTIFF) as integers, without their interpretation."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np

from promptable.wire.images.broken import over_bound

MOST_TAGS = 4096
MOST_VALUES = 2**20
"""The most values of one tag, such as the positions of the strips."""

# numpy's name of each integer type, by the type's number in TIFF. Texts and fractions are not needed here.
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 16: "u8", 17: "i8"}


class Tag(IntEnum):
    """The tags that are read. ``PLACES`` and ``BYTES`` are of the data of strips or tiles."""

    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
    STRIP_PLACES, ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_BYTES = 273, 274, 277, 278, 279
    PLANAR, COLOUR_MAP = 284, 320
    TILE_WIDTH, TILE_HEIGHT, TILE_PLACES, TILE_BYTES, EXTRA, SAMPLE_FORMAT = 322, 323, 324, 325, 338, 339


_WANTED = frozenset(Tag)


@dataclass(frozen=True)
class TiffTags:
    """The integer values of each tag, by the tag's number, and the position of the page's directory in the file."""

    directory: int
    values: Mapping[int, tuple[int, ...]] = field(repr=False)

    def one(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        return self.values.get(tag, (default,))[0]

    def all(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        return self.values.get(tag, default)


def read_tags(data: bytes) -> TiffTags:
    """Read the tags of the first page. Raises ValueError or struct.error if the file is damaged."""
    order: Literal["<", ">"] = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(order + "H", data, 2)[0] == 43:
        return _read_directory(data, order, start="8xQ", count="Q", entry="HHQ8s")
    return _read_directory(data, order, start="4xI", count="H", entry="HHI4s")


def _read_directory(data: bytes, order: str, start: str, count: str, entry: str) -> TiffTags:
    (directory,) = struct.unpack_from(order + start, data)
    (tags,) = struct.unpack_from(order + count, data, _inside(data, directory))
    if tags > MOST_TAGS:
        raise over_bound("TIFF", f"{MOST_TAGS} tags", f"{tags}")
    each, first = struct.Struct(order + entry), directory + struct.calcsize(order + count)
    values: dict[int, tuple[int, ...]] = {}
    for at in range(first, first + tags * each.size, each.size):
        tag, kind, number, inline = each.unpack_from(data, at)
        if tag in _WANTED and kind in _INTEGERS and number:
            values.setdefault(tag, _integers(data, order, kind, number, inline))
    return TiffTags(directory, values)


def _integers(data: bytes, order: str, kind: int, number: int, inline: bytes) -> tuple[int, ...]:
    """A tag's values: from the entry itself if they fit into it, else from the position that the entry contains."""
    dtype = np.dtype(order + _INTEGERS[kind])
    if number > MOST_VALUES:
        raise over_bound("TIFF", f"{MOST_VALUES} values of a tag", f"{number}")
    if number * dtype.itemsize <= len(inline):
        return tuple(np.frombuffer(inline, dtype, number).tolist())
    (place,) = struct.unpack(order + ("I" if len(inline) == 4 else "Q"), inline)
    return tuple(np.frombuffer(data, dtype, number, _inside(data, place)).tolist())


def _inside(data: bytes, place: int) -> int:
    if place >= len(data):
        raise ValueError("it points beyond its end")
    return place
