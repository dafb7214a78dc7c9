"""Files whose data end in good order, but too early: the decoders alone would fill up the picture."""

import numpy as np
import pytest
from PIL import Image

from promptable.errors import BadRequestError
from promptable.wire.images.encoded import EncodedImage
from tests.wire.picture_files import chunk, png
from tests.wire.samples import PIXELS, file_bytes

DEPTHS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8)]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PALETTE = chunk(b"PLTE", bytes(range(48)))
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
"""First row and column, and the steps between rows and columns, of each pass."""


def decoded(data):
    return EncodedImage(data).decode(1.0)


def refused(data):
    with pytest.raises(BadRequestError, match="image: expected a complete picture file, got a broken"):
        decoded(data)


@pytest.mark.parametrize(("colour_type", "bits"), DEPTHS)
def test_a_png_of_too_few_rows_is_refused(colour_type, bits):
    rows = [bytes(16 * SAMPLES[colour_type] * bits // 8)] * 5
    whole, cut = (png((5, 16), bits, colour_type, some, PALETTE) for some in (rows, rows[:-1]))
    assert decoded(whole).shape == (5, 16, 3)
    refused(cut)
    refused(png((5, 16), bits, colour_type, [*rows[:-1], rows[-1][:-1]], PALETTE))


@pytest.mark.parametrize("hw", [(1, 1), (1, 2), (1, 7), (2, 1), (3, 3), (8, 8), (9, 12), (16, 5)], ids=str)
def test_an_interlaced_png_of_too_few_rows_is_refused(hw):
    gray = np.arange(hw[0] * hw[1], dtype=np.uint8).reshape(hw) + 60
    passes = [gray[row::rows, column::columns] for row, column, rows, columns in ADAM7]
    rows = [row.tobytes() for part in passes if part.size for row in part]
    np.testing.assert_array_equal(decoded(png(hw, 8, 0, rows, interlaced=True))[..., 0], gray)
    for left_out in range(1, len(rows)):
        refused(png(hw, 8, 0, rows[:-left_out], interlaced=True))


def test_a_png_of_any_one_gray_is_whole():
    """Whatever lay in the memory before."""
    for level in range(256):
        assert (decoded(png((2, 3), 8, 0, [bytes([level] * 3)] * 2)) == level).all()


SMOOTH = np.add.outer(np.arange(64), np.arange(50))[..., None].astype(np.uint8) + np.array([0, 20, 40], np.uint8)
JPEGS = {
    "colours": file_bytes(SMOOTH, "JPEG"),
    "gray": file_bytes(SMOOTH[..., 0], "JPEG"),
    "inks": file_bytes(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"),
    "with restarts": file_bytes(SMOOTH, "JPEG", restart_marker_rows=1),
    "progressive": file_bytes(SMOOTH, "JPEG", progressive=True),
}


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_of_too_few_rows_is_refused(name):
    """Cut in its first scan, but not in its last block, and its last marker set after that: libjpeg fills the rest with
    gray."""
    whole = JPEGS[name]
    assert decoded(whole).shape == SMOOTH.shape
    first = whole.index(b"\xff\xda") + 14
    end = min(at for at in (whole.find(b"\xff\xd9", first), whole.find(b"\xff\xc4", first)) if at > 0)
    for at in range(first, end - 24):
        if whole[at - 1] != 0xFF:
            refused(whole[:at] + b"\xff\xd9")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_a_whole_jpeg_may_end_in_gray(options):
    pixels = SMOOTH.copy()
    pixels[32:] = 128
    data = file_bytes(pixels, "JPEG", **options)
    for more in (b"", data, bytes(9)):
        assert (decoded(data + more)[-8:] == 128).all()


def test_a_jpeg_2000_without_one_of_its_tiles_is_refused():
    whole = file_bytes(PIXELS, "JPEG2000", no_jp2=True, tile_size=(8, 8))
    parts = [at for at in range(len(whole)) if whole.startswith(b"\xff\x90\0\x0a", at)]
    assert len(parts) == 4
    np.testing.assert_array_equal(decoded(whole), PIXELS)
    for start, end in zip(parts, [*parts[1:], len(whole) - 2], strict=True):
        refused(whole[:start] + whole[end:])
    length_left_out = whole[: parts[3] + 6] + bytes(4) + whole[parts[3] + 10 :]
    np.testing.assert_array_equal(decoded(length_left_out), PIXELS)
