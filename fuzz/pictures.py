"""Small pictures of every kind that is read, to be mutated."""

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

_PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
_GRAY = _PIXELS[..., 0]
_DEEP = _GRAY.astype(np.uint16) * 200


def _file(pixels: Any, form: str, mode: str | None = None, **options: Any) -> bytes:
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(buffer, form, **options)
    return buffer.getvalue()


def _png(bits: int, colour_type: int, interlaced: int, row: int) -> bytes:
    """A PNG of 8 x 8 pixels of ``row`` bytes a row."""
    header = struct.pack(">IIBBBBB", 8, 8, bits, colour_type, 0, 0, interlaced)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", bytes(range(48))),
        (b"IDAT", zlib.compress(bytes(8 * (row + 9)))),
        (b"IEND", b""),
    ]
    framed = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@cache
def pictures() -> list[bytes]:
    """Files of some 20 bytes to 4 KB."""
    rgb = _PIXELS[..., :3]
    two: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(255 - rgb)]}
    jpegs = [_file(rgb, "JPEG", mode, progressive=scans) for mode in ("RGB", "L", "CMYK") for scans in (False, True)]
    pngs = [_file(rgb, "PNG", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")]
    pngs += [_file(_DEEP, "PNG"), _png(16, 4, 0, 32), _png(16, 4, 1, 32), _png(2, 3, 1, 2), _file(rgb, "PNG", **two)]
    bmps = [_file(rgb, "BMP", mode) for mode in ("RGB", "P", "L", "1")]
    run_lengths = bytearray(_file(_GRAY, "BMP"))
    run_lengths[30] = 1
    packings = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    tiffs = [_file(rgb, "TIFF", mode, compression=c) for mode in ("RGB", "L") for c in packings]
    tiffs += [_file(rgb, "TIFF", mode) for mode in ("RGBA", "LA", "P", "CMYK", "YCbCr")]
    tiffs += [_file(_GRAY > 127, "TIFF", compression=c) for c in ("group3", "group4")]
    tiffs += [_file(_DEEP.astype(kind), "TIFF") for kind in ("u2", ">u2", "i4", "f4")]
    tiffs += [_file(rgb, "TIFF", big_tiff=True), _file(rgb, "TIFF", tiffinfo={274: 6})]
    webps = [_file(rgb, "WEBP", mode, lossless=lossless) for mode in ("RGB", "RGBA") for lossless in (True, False)]
    others = [_file(rgb, "WEBP", **two), _file(rgb, "GIF", "P"), _file(rgb, "GIF", **two), _file(rgb, "AVIF")]
    others += [_file(rgb, "AVIF", **two), _file(rgb, "JPEG2000"), _file(_DEEP, "JPEG2000", no_jp2=True)]
    others += [_file(rgb, "MPO", **two), _file(rgb, "PPM"), _file(_GRAY, "PPM"), _file(_DEEP, "PPM")]
    texts = [b"P1 4 2\n0 1 0 1\n0011\n", b"P2\n# gray\n3 1\n4095\n0 17 4095\n", b"P3 1 1 255 1 2 3\n"]
    return [*jpegs, *pngs, *bmps, bytes(run_lengths), *tiffs, *webps, *others, *texts]
