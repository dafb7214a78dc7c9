"""Small picture files as other programs write them, made byte by byte where Pillow writes none of the kind."""

import struct
import zlib

import numpy as np

SHORT, LONG = 3, 4
_CODES = {1: "B", SHORT: "H", LONG: "I"}


def tiff(values, photometric=1, order="<", planar=1, compression=1, more=None, without=()):
    """A page of one strip, or one a plane, of the values [H, W] or [H, W, S] in their own type; ``more`` tags, and
    ``without`` some.
    """
    height, width, samples = (*values.shape, 1)[:3]
    planes = [values[..., i] for i in range(samples)] if planar == 2 else [values]
    strips = [np.ascontiguousarray(plane, plane.dtype.newbyteorder(order)).tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if compression == 8 else strips
    places = np.cumsum([8, *map(len, strips)]).tolist()
    tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8 * values.dtype.itemsize] * samples),
        259: (SHORT, [compression]),
        262: (SHORT, [photometric]),
        273: (LONG, places[:-1]),
        277: (SHORT, [samples]),
        278: (LONG, [height]),
        279: (LONG, list(map(len, strips))),
        284: (SHORT, [planar]),
        339: (SHORT, [{"u": 1, "i": 2, "f": 3}[values.dtype.kind]] * samples),
    }
    header = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, places[-1])
    return header + b"".join(strips) + _directory(places[-1], _kept(tags | (more or {}), without), order)


def _kept(tags, without):
    return {tag: content for tag, content in tags.items() if tag not in without}


def _directory(start, tags, order):
    entries, beyond, after = b"", b"", start + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        content = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
        entries += struct.pack(order + "HHI", tag, kind, len(values))
        if len(content) > 4:
            entries += struct.pack(order + "I", after + len(beyond))
            beyond += content
        else:
            entries += content.ljust(4, b"\0")
    return struct.pack(order + "H", len(tags)) + entries + bytes(4) + beyond


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))


def png(hw, bits, colour_type, rows, *between, interlaced=False):
    """A PNG of rows of bytes, unfiltered, if ``interlaced`` pass after pass; ``between`` are chunks before the
    pixels."""
    header = struct.pack(">IIBBBBB", hw[1], hw[0], bits, colour_type, 0, 0, interlaced)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *between, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def indexed_bmp(indices, palette):
    """An 8-bit BMP of indices [H, W], bottom row first, with a palette [N, 3] RGB."""
    height, width = indices.shape
    rows = b"".join(row.tobytes() + bytes(-width % 4) for row in indices[::-1])
    colours = b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    start = 54 + len(colours)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, len(rows), 0, 0, len(palette), 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + colours + rows
