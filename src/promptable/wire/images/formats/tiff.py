"""TIFF: the first page, decoded by libtiff.

The combinations of tags that are known to decode correctly are listed in tables; any other combination is an error that
names it. libtiff unpacks strips and tiles of all its compressions, and returns values in this machine's byte order.
"""

import ctypes
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging

from promptable.errors import BadRequestError
from promptable.wire.images.broken import unsupported
from promptable.wire.images.headers.tiff_bounds import check_bounds
from promptable.wire.images.headers.tiff_tags import Tag, TiffTags, read_tags
from promptable.wire.images.levels import stretched
from promptable.wire.images.picture import coloured, colours_of, decoded, gray_to_rgb

_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000, 50001}
_NAMES = {
    **{9: "JBIG", 10: "JBIG", 34661: "JBIG", 34712: "JPEG 2000", 33003: "JPEG 2000", 33005: "JPEG 2000"},
    **{32809: "ThunderScan", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34887: "LERC", 34933: "PNG"},
    **{22610: "JPEG XR", 34934: "JPEG XR", 50002: "JPEG XL", 52546: "JPEG XL", 34892: "lossy JPEG"},
}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PHOTOMETRICS = {4: "transparency masks", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "raw camera data"}
_COLOURS = {_RGB: 3, _CMYK: 4, _YCBCR: 3}
_JPEG, _OLD_JPEG = 7, 6
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_PLANES = 2  # the planar configuration that has a plane for each sample
_FORMATS = {_UNSIGNED: "unsigned", _SIGNED: "signed", _FLOAT: "floating-point", 5: "complex", 6: "complex"}
_PLAIN, _ASSOCIATED, _SEPARATE = 0, 1, 2
"""The kinds of extra samples: without meaning; alpha that the colours are multiplied by; alpha that they are not."""


class _Reading(NamedTuple):
    """Pillow's mode and rawmode. ``dtype`` is that of the real values, if the mode only carries their bytes."""

    mode: str
    rawmode: str
    dtype: str | None = None


# (sample format, bits) of one sample a pixel.
_GRAYS = {
    (_UNSIGNED, 1): _Reading("1", "1"),
    (_UNSIGNED, 2): _Reading("L", "L;2"),
    (_UNSIGNED, 4): _Reading("L", "L;4"),
    (_UNSIGNED, 8): _Reading("L", "L"),
    (_UNSIGNED, 12): _Reading("I;16", "I;12"),
    (_UNSIGNED, 16): _Reading("I;16", "I;16N"),
    (_UNSIGNED, 32): _Reading("I", "I;32N", "u4"),
    (_SIGNED, 8): _Reading("L", "L", "i1"),
    (_SIGNED, 16): _Reading("I", "I;16NS"),
    (_SIGNED, 32): _Reading("I", "I;32NS"),
    (_FLOAT, 16): _Reading("I;16", "I;16N", "f2"),
    (_FLOAT, 32): _Reading("F", "F;32NF"),
    (_FLOAT, 64): _Reading("F", "F;64NF"),
}
# (bits,), or with what an extra sample means.
_INDICES: dict[tuple[int, ...], _Reading] = {
    (1,): _Reading("P", "P;1"),
    (2,): _Reading("P", "P;2"),
    (4,): _Reading("P", "P;4"),
    (8,): _Reading("P", "P"),
    (8, _PLAIN): _Reading("LA", "LA"),
    (8, _SEPARATE): _Reading("LA", "LA"),
}
# (bits, the extra sample's meaning): gray and one more. A pixel of 16 bits each has 4 bytes, as one of 8-bit RGBA.
_GRAYS_AND_MORE: dict[tuple[int, ...], _Reading] = {
    (8, _PLAIN): _Reading("LA", "LA"),
    (8, _ASSOCIATED): _Reading("La", "La"),
    (8, _SEPARATE): _Reading("LA", "LA"),
    (16, _PLAIN): _Reading("RGBA", "RGBA", "u2"),
    (16, _SEPARATE): _Reading("RGBA", "RGBA", "u2"),
}
# By photometric interpretation, bits, and what the extra samples mean.
_COLOURED = {
    **{(_RGB, 8, (_PLAIN,) * extra): _Reading("RGB", "RGB" + "X" * extra) for extra in range(4)},
    **{(_RGB, 8, (_ASSOCIATED, *[_PLAIN] * more)): _Reading("RGBA", "RGBa" + "X" * more) for more in range(3)},
    **{(_RGB, 8, (_SEPARATE, *[_PLAIN] * more)): _Reading("RGBA", "RGBA" + "X" * more) for more in range(3)},
    (_RGB, 16, ()): _Reading("RGB", "RGB;16N"),
    (_RGB, 16, (_PLAIN,)): _Reading("RGB", "RGBX;16N"),
    (_RGB, 16, (_ASSOCIATED,)): _Reading("RGBA", "RGBa;16N"),
    (_RGB, 16, (_SEPARATE,)): _Reading("RGBA", "RGBA;16N"),
    **{(_CMYK, 8, (_PLAIN,) * extra): _Reading("CMYK", "CMYK" + "X" * extra) for extra in range(3)},
    (_CMYK, 16, ()): _Reading("CMYK", "CMYK;16N"),
    (_YCBCR, 8, ()): _Reading("RGB", "RGB"),
}


@dataclass(frozen=True)
class Tiff:
    """A page as its tags say. ``stored_hw`` is its size before it is turned by ``orientation``, 1 to 8 as in EXIF."""

    data: bytes = field(repr=False)
    directory: int
    stored_hw: tuple[int, int]
    orientation: int
    photometric: int
    reading: _Reading
    palette: NDArray[np.uint8]

    @property
    def hw(self) -> tuple[int, int]:
        """As in ``Picture``. CVAT turns a TIFF by its orientation tag, so annotations belong to the turned picture."""
        return self.stored_hw[::-1] if self.orientation >= 5 else self.stored_hw

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``."""
        return _turned(self._stored_rgb(), self.orientation)

    def _stored_rgb(self) -> NDArray[np.uint8]:
        _silence_libtiff()
        mode, rawmode, dtype = self.reading
        picture = decoded(mode, self.stored_hw, self.data, "libtiff", rawmode, False, self.directory)
        if self.photometric in _COLOURS:
            return colours_of(picture)
        values = np.asarray(picture.convert("LA") if mode == "La" else picture)
        if dtype is not None:
            values = values.view(dtype)
        first = values[..., 0] if values.ndim == 3 else values
        if self.photometric == _PALETTE:
            return coloured(first, self.palette)
        return gray_to_rgb(_levels(first, self.photometric == _WHITE_IS_ZERO))


def read(data: bytes) -> Tiff:
    """Read the tags of the first page, and decide how to decode it."""
    tags = read_tags(data)
    check_bounds(tags, data)
    orientation = tags.one(Tag.ORIENTATION, 1)
    photometric = _photometric(tags)
    return Tiff(
        data,
        tags.directory,
        (tags.one(Tag.HEIGHT, 0), tags.one(Tag.WIDTH, 0)),
        orientation if 1 <= orientation <= 8 else 1,
        photometric,
        _reading(tags, photometric),
        _palette(tags.all(Tag.COLOUR_MAP)),
    )


def _photometric(tags: TiffTags) -> int:
    """The photometric interpretation; files with the old kind of JPEG do not always state it."""
    compression = tags.one(Tag.COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        name = _NAMES.get(compression, "an unknown method")
        raise unsupported(f"a TIFF compressed by {name} ({compression})", "save it with LZW, Deflate or no compression")
    return tags.one(Tag.PHOTOMETRIC, _YCBCR if compression == _OLD_JPEG else _WHITE_IS_ZERO)


def _reading(tags: TiffTags, photometric: int) -> _Reading:
    bits, formats = set(tags.all(Tag.BITS, (1,))), set(tags.all(Tag.SAMPLE_FORMAT, (_UNSIGNED,)))
    samples = tags.one(Tag.SAMPLES, _COLOURS[_YCBCR] if photometric == _YCBCR else 1)
    planar = tags.one(Tag.PLANAR, 1) == _PLANES and samples > 1
    found = None
    if len(bits) == len(formats) == 1:
        extra = _extra(tags, samples - _COLOURS.get(photometric, 1))
        found = _known(photometric, formats.pop(), bits.pop(), extra, planar)
    if found is None:
        raise _unknown(tags, photometric, samples, planar)
    if photometric == _YCBCR and (tags.one(Tag.COMPRESSION, 1) != _JPEG or planar):
        return _Reading("RGB", "RGBX")  # libtiff's own conversion, which knows of coarser colours, gives four bytes
    return found


def _extra(tags: TiffTags, number: int) -> tuple[int, ...]:
    """The kinds of the samples beside the colours; samples that the file does not describe have no meaning."""
    known = tags.all(Tag.EXTRA)[: max(number, 0)]
    return known + (_PLAIN,) * (number - len(known))


def _known(photometric: int, sample_format: int, bits: int, extra: tuple[int, ...], planar: bool) -> _Reading | None:
    if planar and set(extra) == {_PLAIN}:
        extra = ()  # planes of their own, which need not be read
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and not extra:
        return _GRAYS.get((sample_format, bits))
    if sample_format != _UNSIGNED or (planar and _ASSOCIATED in extra):
        return None
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        return None if planar and bits > 8 else _GRAYS_AND_MORE.get((bits, *extra))
    return _INDICES.get((bits, *extra)) if photometric == _PALETTE else _COLOURED.get((photometric, bits, extra))


def _unknown(tags: TiffTags, photometric: int, samples: int, planar: bool) -> BadRequestError:
    if photometric in _PHOTOMETRICS:
        return unsupported(f"a TIFF of {_PHOTOMETRICS[photometric]}")
    kinds = " and ".join(
        _FORMATS.get(each, f"unknown ({each})") for each in sorted(set(tags.all(Tag.SAMPLE_FORMAT, (1,))))
    )
    depths = " and ".join(map(str, sorted(set(tags.all(Tag.BITS, (1,))))))
    apart = " in planes of their own" if planar else ""
    return unsupported(
        f"a TIFF of {samples} {kinds} samples of {depths} bits{apart}, photometric interpretation {photometric},"
    )


def _palette(colour_map: tuple[int, ...]) -> NDArray[np.uint8]:
    """The palette, uint8 [N, 3], of a colour map: all reds, all greens, all blues, of 16 bits (some writers: 8)."""
    colours = np.array(colour_map[: len(colour_map) // 3 * 3], np.int64).reshape(3, -1).T
    return (colours if colours.max(initial=0) < 256 else colours >> 8).astype(np.uint8)


def _levels(values: NDArray[Any], inverted: bool) -> NDArray[np.uint8]:
    """Gray levels, uint8, of values of any depth; ``inverted`` is whether the lowest value is white."""
    if values.dtype in (bool, np.uint8):
        levels = values * np.uint8(255) if values.dtype == bool else values
        return ~levels if inverted else levels
    if inverted:
        values = -values if values.dtype.kind == "f" else ~values
    return stretched(values)


def _turned(rgb: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture turned or mirrored by ``orientation``, 1 to 8 as in EXIF."""
    if orientation >= 5:
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)


@cache
def _silence_libtiff() -> None:
    """Stop libtiff from printing its warnings and errors to stderr: a damaged file can cause thousands.

    libtiff has one handler for warnings and one for errors in the whole process, and Pillow leaves the printing ones in
    place. Pillow's wheels contain libtiff as a shared library; in other builds its handlers may not be found by name,
    and nothing is changed.
    """
    libraries = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
        if (set_handler := getattr(libraries, name, None)) is not None:
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)
