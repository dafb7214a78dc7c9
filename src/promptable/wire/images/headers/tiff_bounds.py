"""What a TIFF may ask of libtiff, by its tags: the sizes of its strips or tiles, and the scans of the JPEGs in them."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from promptable.wire.images.broken import over_bound
from promptable.wire.images.headers import jpeg, scans
from promptable.wire.images.headers.tiff_tags import Tag, TiffTags

MOST_TILE_MEGAPIXELS = 128
"""The most megapixels of one tile, which is unpacked as a whole even for a small picture."""
MOST_STORED_BYTES = 2**28
"""The most bytes of all strips or tiles of a file that is smaller: several may name the same bytes."""
MOST_MARKERS = 2**22
"""The most markers of scans in a file of JPEGs: four for each strip or tile that it may have."""

_MOST_TILED = 4
"""The most pixels that all tiles have together, in pixels of the picture, beside ``MOST_TILE_MEGAPIXELS``."""
_JPEG = 7
_MOST_PLANES = 4
"""More planes than any picture is decoded from."""


def check_bounds(tags: TiffTags, data: bytes) -> None:
    """Raise BadRequestError for what would take too long, ValueError or struct.error for a damaged JPEG inside."""
    hw = tags.one(Tag.HEIGHT, 0), tags.one(Tag.WIDTH, 0)
    _check_tiles(tags, hw)
    _check_stored(tags, len(data))
    if tags.one(Tag.COMPRESSION, 1) == _JPEG:
        _check_scans(tags, data, hw)


def _check_tiles(tags: TiffTags, hw: tuple[int, int]) -> None:
    """Raise BadRequestError for tiles that reach far beyond the picture: each is unpacked as a whole."""
    sides = tags.one(Tag.TILE_HEIGHT, 0), tags.one(Tag.TILE_WIDTH, 0)
    tile = prod(sides)
    if tile > MOST_TILE_MEGAPIXELS * 1e6:
        raise over_bound("TIFF", f"{MOST_TILE_MEGAPIXELS} megapixels in a tile", f"{tile / 1e6:.0f}")
    tiled = tile and tile * prod(-(-length // side) for length, side in zip(hw, sides, strict=True))
    most = _MOST_TILED * prod(hw) / 1e6 + MOST_TILE_MEGAPIXELS
    if tiled > most * 1e6:
        raise over_bound("TIFF", f"{most:.0f} megapixels in all of its tiles", f"{tiled / 1e6:.0f}")


def _check_stored(tags: TiffTags, size: int) -> None:
    """Raise BadRequestError where strips or tiles name the same bytes over and over."""
    stored = sum(map(sum, (tags.all(Tag.STRIP_BYTES), tags.all(Tag.TILE_BYTES))))
    if stored > (most := max(size, MOST_STORED_BYTES)):
        raise over_bound("TIFF", f"{most} bytes in all of its strips or tiles", f"{stored}")


def _check_scans(tags: TiffTags, data: bytes, hw: tuple[int, int]) -> None:
    """Raise BadRequestError for JPEGs of several scans, each of which is decoded over the whole strip or tile."""
    if (found := scans.count(data)) > MOST_MARKERS:
        raise over_bound("TIFF", f"{MOST_MARKERS} scans", f"{found}")
    starts, ends = _pieces(tags, len(data))
    markers = scans.places(data)
    counts = np.searchsorted(markers, ends) - np.searchsorted(markers, starts)
    pixels = np.full(len(starts), float(tags.one(Tag.TILE_HEIGHT, 0) * tags.one(Tag.TILE_WIDTH, 0)))
    if not pixels.any():
        rows = max(min(tags.one(Tag.STRIP_ROWS, hw[0]), hw[0]), 1)
        pixels[:] = rows * hw[1]
        for last in _last_strips(-(-hw[0] // rows), len(starts)):
            if counts[last] > 1:
                pixels[last] = prod(jpeg.read_frame(data[starts[last] : ends[last]]).hw)
    scans.check_scanned("TIFF", float((counts * pixels)[counts > 1].sum()))


def _last_strips(of_plane: int, strips: int) -> range:
    """The last strip of each plane that is decoded. libtiff lets a JPEG there be taller than its strip."""
    each = max(of_plane, 1)
    return range(each - 1, strips, each)[:_MOST_PLANES]


def _pieces(tags: TiffTags, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where strips and tiles begin and end, int64 [N]; one that does not say how long it is may reach to the end."""
    starts = tags.all(Tag.STRIP_PLACES) + tags.all(Tag.TILE_PLACES)
    sizes = (tags.all(Tag.STRIP_BYTES) + tags.all(Tag.TILE_BYTES))[: len(starts)]
    first = np.clip(np.array(starts, float), 0, size).astype(np.int64)
    lengths = np.array([each if 0 < each < size else size for each in sizes] + [size] * (len(starts) - len(sizes)))
    return first, np.minimum(first + lengths.astype(np.int64), size)
