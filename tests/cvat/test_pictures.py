"""Pictures as pages show them."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promptable.cvat.pages.pictures import shown
from promptable.cvat.server.errors import CvatError
from tests.functions.requests import file_bytes
from tests.wire.test_image_bounds import OVER, jpeg_2000

PIXELS = np.zeros((4, 6, 3), np.uint8)
PIXELS[0, :] = 255


def test_a_picture_is_turned_and_cut_to_the_size_that_cvat_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is at the right
    Image.fromarray(PIXELS).save(tmp_path / "turned.png", exif=exif)
    data = (tmp_path / "turned.png").read_bytes()
    hw, image = shown(data, 100)
    assert hw == (6, 4)
    assert (np.asarray(image) == np.rot90(PIXELS, -1)).all()
    hw, image = shown(data, 100, (6, 3))
    assert hw == (6, 3)
    assert (np.asarray(image) == np.rot90(PIXELS, -1)[:, :3]).all()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_jpeg_2000_of_a_few_bytes_fills_no_memory() -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG2000", no_jp2=True)
    data = bytearray(file.getvalue())
    size = struct.pack(">II", 10_001, 10_000)
    data[8:16] = data[24:32] = size  # of the picture, and of its only tile
    with pytest.raises(CvatError, match="at most 100 megapixels, got 10001 x 10000 pixels") as refused:
        shown(bytes(data), 100)
    assert refused.value.status == 400


def test_a_jpeg_2000_of_many_small_parts_fills_no_memory() -> None:
    with pytest.raises(CvatError, match="cannot be read: expected a JPEG 2000 of at most 131250 code-blocks"):
        shown(jpeg_2000(1000, 1), 100)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "name", ["scans", "scanned pixels", "scanned pixels in a TIFF", "wide tiles", "shared strips", "a tile"]
)
def test_what_functions_refuse_by_its_header_is_not_decoded_for_a_page_either(name: str) -> None:
    data, message = OVER[name]
    with pytest.raises(CvatError, match=f"the picture cannot be read: expected .*{message}"):
        shown(data, 100)


def test_a_damaged_avif_is_a_picture_that_cannot_be_read() -> None:
    whole = file_bytes(np.full((40, 50, 3), 90, np.uint8), "AVIF")
    raised = set()
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            shown(bytes(damaged), 100)
        except CvatError as error:
            raised.add(error.status)
    assert raised == {400}


def test_a_size_that_cvat_says_fills_no_memory_either() -> None:
    with pytest.raises(CvatError, match="the picture cannot be read: Image size"):
        shown(file_bytes(PIXELS, "PNG"), 100, (100_000, 100_000))
