"""Files that would take long are refused by their headers, which are read once."""

import struct

import numpy as np
import pytest

from promptable.errors import BadRequestError
from promptable.wire.images.encoded import EncodedImage
from promptable.wire.images.headers import jpeg
from tests.wire.picture_files import LONG, SHORT, chunk, indexed_bmp, png, tiff
from tests.wire.samples import PIXELS, file_bytes

PROGRESSIVE = file_bytes(PIXELS, "JPEG", progressive=True)
FIRST_SCAN, LAST_SCAN = PROGRESSIVE.find(b"\xff\xda"), PROGRESSIVE.rfind(b"\xff\xda")
U8 = np.zeros((2, 3), np.uint8)


def with_scans(count, hw=PIXELS.shape[:2]):
    """The progressive JPEG with its last scan over and over, and another size in its header."""
    frame = PROGRESSIVE.find(b"\xff\xc2") + 5
    sized = PROGRESSIVE[:frame] + struct.pack(">HH", *hw) + PROGRESSIVE[frame + 4 :]
    return sized[:-2] + sized[LAST_SCAN:-2] * (count - sized.count(b"\xff\xda")) + b"\xff\xd9"


def with_filling(count):
    return PROGRESSIVE[:2] + b"\xff" * count + PROGRESSIVE[2:]


def with_chunks(count):
    return png((1, 1), 8, 0, [b"a"], chunk(b"teSt", b"") * count)


def with_comments(count):
    whole = file_bytes(PIXELS[..., 0], "GIF")
    screen = 13 + 3 * 256
    return whole[:screen] + b"!\xfe" + b"\1a" * count + b"\0" + whole[screen:]


def with_segments(count):
    whole = file_bytes(PIXELS, "JPEG2000", no_jp2=True)
    after_size = 4 + int.from_bytes(whole[4:6], "big")
    return whole[:after_size] + b"\xff\x64\0\4\0\1" * count + whole[after_size:]


def jpeg_2000(side, precinct, levels=2, layers=1, block=6):
    """A bare codestream of one tile, RGB, whose precincts and code-blocks have sides of these powers of two."""
    whole = bytearray(file_bytes(PIXELS, "JPEG2000", no_jp2=True, num_resolutions=1))
    for at in (8, 24):
        struct.pack_into(">II", whole, at, side, side)
    coding = struct.pack(">BBHBBBBBB", 1, 0, layers, 1, levels, block - 2, block - 2, 0, 1)
    coding += bytes([precinct * 17] * (levels + 1))
    steps = b"\x40" * (3 * levels + 2)
    for marker, content in ((b"\xff\x52", coding), (b"\xff\x5c", steps)):
        at = whole.find(marker)
        whole[at + 2 : at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")] = segment(content)
    whole[whole.find(b"\xff\x90") + 6 :][:4] = bytes(4)
    return bytes(whole)


def segment(content):
    return struct.pack(">H", 2 + len(content)) + content


def in_a_tile_part(data):
    """The same file with what its main header says of precincts in its tile's header instead."""
    at = data.find(b"\xff\x52")
    coding = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    plain = b"\xff\x52" + segment(coding[4:5].replace(b"\1", b"\0") + coding[5:14])
    header = data.find(b"\xff\x90") + 12
    return data[:at] + plain + data[at + len(coding) : header] + coding + data[header:]


def of_a_component(data):
    """The same file with what it says of precincts said of one component instead."""
    at = data.find(b"\xff\x52")
    coding = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    plain = b"\xff\x52" + segment(coding[4:5].replace(b"\1", b"\0") + coding[5:14])
    return data[:at] + plain + b"\xff\x53" + segment(b"\1\1" + coding[9:]) + data[at + len(coding) :]


def with_shared_strips(count, stored):
    """A TIFF of one pixel across, all of whose strips are the same bytes."""
    places, sizes = (LONG, [8] * count), (LONG, [stored] * count)
    more = {257: (LONG, [count]), 273: places, 278: (LONG, [1]), 279: sizes}
    return tiff(np.zeros((1, 1), np.uint8), more=more) + bytes(stored)


def with_jpeg(data, hw, rows):
    """A TIFF of this size that is a strip of this JPEG, in which others begin with as many ``rows``."""
    more = {256: (LONG, [hw[1]]), 257: (LONG, [hw[0]]), 278: (LONG, [rows]), 279: (LONG, [len(data)])}
    page = tiff(np.zeros((1, 1, 3), np.uint8), 6, compression=7, more=more | {273: (LONG, [8])})
    return tiff(np.zeros((1, 1, 3), np.uint8), 6, compression=7, more=more | {273: (LONG, [len(page)])}) + data


def with_wide_tiles(count):
    side, rows = 2**22, 16
    more = {
        **{256: (LONG, [16]), 257: (LONG, [rows * count]), 322: (LONG, [side]), 323: (LONG, [rows])},
        **{324: (LONG, [8] * count), 325: (LONG, [100] * count)},
    }
    return tiff(U8, more=more, without=(273, 278, 279))


WITHIN = {
    "precincts": file_bytes(PIXELS, "JPEG2000", num_resolutions=3, precinct_size=(32, 32), codeblock_size=(4, 4)),
    "tiles": file_bytes(np.zeros((256, 256, 3), np.uint8), "JPEG2000", tile_size=(32, 32)),
    "comments of a text": b"P2\n" + b"#a\n" * 90_000 + b"1 1 255 7",
    "500 scans": with_scans(500),
    "a progressive JPEG in a TIFF": with_jpeg(PROGRESSIVE, PIXELS.shape[:2], 12),
    "filling": with_filling(10_000),
    "chunks": with_chunks(90_000),
    "comments": with_comments(90_000),
}


@pytest.mark.parametrize("name", WITHIN)
def test_within_the_bounds(name):
    assert EncodedImage(WITHIN[name]).decode(1).ndim == 3


OVER = {
    "scans": (with_scans(501), "a JPEG of at most 500 scans, got 501"),
    "scanned pixels": (with_scans(100, (5000, 5000)), "at most 2000 megapixels in all of its scans, got 2500"),
    "scanned pixels in a TIFF": (
        with_jpeg(with_scans(90, (5000, 5000)), (5000, 5000), 5000),
        "a TIFF of at most 2000 megapixels in all of its scans, got 2250",
    ),
    "scanned pixels below a TIFF": (
        with_jpeg(with_scans(90, (5000, 5000)), (1, 5000), 1),
        "a TIFF of at most 2000 megapixels in all of its scans, got 2250",
    ),
    "filling": (with_filling(2**21), "a JPEG of at most 1048576 bytes between its segments"),
    "segments": (PROGRESSIVE[:2] + b"\xff\xfe\0\2" * 10_001 + PROGRESSIVE[2:], "a JPEG of at most 10000 segments"),
    "chunks": (with_chunks(100_001), "a PNG of at most 100000 chunks"),
    "comments": (with_comments(100_001), "a GIF of at most 100000 blocks before its first image"),
    "boxes": (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x08free" * 1001, "a JPEG 2000 of at most 1000 boxes"),
    "precincts": (jpeg_2000(1000, 1), "at most 131250 code-blocks and precincts of its size, got 57"),
    "code-blocks": (jpeg_2000(4000, 15, block=2), "code-blocks and precincts"),
    "layers": (jpeg_2000(4000, 5, layers=65_535), "code-blocks and precincts"),
    "precincts of a tile part": (in_a_tile_part(jpeg_2000(1000, 1)), "code-blocks and precincts"),
    "precincts of a component": (of_a_component(jpeg_2000(1000, 1)), "code-blocks and precincts"),
    "shared strips": (with_shared_strips(1000, 2**20), "at most 268435456 bytes in all of its strips or tiles, got 10"),
    "wide tiles": (with_wide_tiles(3), "at most 128 megapixels in all of its tiles, got 201"),
    "comments of a text": (b"P2\n" + b"#\n" * 100_001 + b"1 1 255 7", "PPM of at most 100000 comments, got 100001"),
    "segments of a codestream": (with_segments(100_000), "a JPEG 2000 of at most 100000 segments"),
    "tags": (tiff(U8, more={tag: (SHORT, [1]) for tag in range(60_000, 64_100)}), "a TIFF of at most 4096 tags"),
    "a tile": (tiff(U8, more={322: (LONG, [2**16]), 323: (LONG, [2**16])}), "at most 128 megapixels in a tile"),
    "values": (tiff(U8, more={258: (SHORT, [8] * (2**20 + 1))}), "a TIFF of at most 1048576 values of a tag"),
}


@pytest.mark.parametrize("name", OVER)
def test_over_a_bound(name):
    data, message = OVER[name]
    with pytest.raises(BadRequestError, match=f"^image: expected .*{message}"):
        EncodedImage(data).hw(100)


def test_a_bmp_of_run_lengths_is_bounded():
    data = bytearray(indexed_bmp(U8, [(0, 0, 0), (9, 9, 9)]))
    data[30] = 1
    with pytest.raises(BadRequestError, match="a BMP of at most 8388608 bytes in run lengths"):
        EncodedImage(bytes(data) + bytes(2**23)).hw(100)


def test_a_jpeg_2000_takes_no_memory_for_a_size_that_only_its_boxes_say():
    data = bytearray(file_bytes(PIXELS, "JPEG2000"))
    struct.pack_into(">II", data, data.find(b"ihdr") + 4, 2**15, 2**15)
    with pytest.raises(BadRequestError, match="a broken JPEG 2000: its boxes say 32768 x 32768 pixels"):
        EncodedImage(bytes(data)).decode(1)


def test_an_8k_progressive_jpeg_of_20_scans_is_within():
    assert EncodedImage(with_scans(20, (4320, 7680))).hw(100) == (4320, 7680)


def test_a_header_is_read_once(monkeypatch):
    read = []
    monkeypatch.setattr(jpeg, "_frame", lambda data, real=jpeg._frame: read.append(1) or real(data))
    image = EncodedImage(PROGRESSIVE)
    image.hw(1)
    image.decode(1)
    image.decode(1)
    assert len(read) == 1
