"""Pictures that do not come from CVAT reach a function as CVAT would send them."""

import base64
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from promptable.cli.main import main
from promptable.cvat.own_pictures import as_png, upright
from tests.cvat.test_annotate_folder import HW, detect_each_type
from tests.wire.samples import file_bytes
from tests.wire.test_image_bounds import OVER
from toy.cvat.stand_in import StandIn

_ORIENTATION = 0x0112
RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (*HW, 3), dtype=np.uint8)


_BACK = {6: 8, 8: 6}
"""The orientation that undoes another one; most undo themselves."""


def _stored_turned(form: str, orientation: int, pixels: np.ndarray = PIXELS) -> bytes:
    """A file that shows ``pixels`` once it is turned as EXIF says."""
    exif, packed = Image.Exif(), io.BytesIO()
    image = Image.fromarray(pixels)
    image.getexif()[_ORIENTATION] = _BACK.get(orientation, orientation)
    exif[_ORIENTATION] = orientation
    ImageOps.exif_transpose(image).save(packed, form, exif=exif, lossless=True)
    return packed.getvalue()


def _with_exif(jpeg: bytes) -> bytes:
    """A JPEG that is to be turned."""
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    segment = exif.tobytes()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + jpeg[2:]


def _pixels(data: bytes) -> np.ndarray:
    """As they are stored."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_picture_is_turned_as_exif_says(form: str, orientation: int) -> None:
    assert (_pixels(upright(_stored_turned(form, orientation))) == PIXELS).all()


def test_all_sixteen_bits_are_kept() -> None:
    gray = RNG.integers(0, 1 << 16, HW, dtype=np.uint16)
    assert (_pixels(upright(_stored_turned("PNG", 6, gray))) == gray).all()


@pytest.mark.parametrize(
    "data",
    [
        _stored_turned("PNG", 1),
        file_bytes(PIXELS, "TIFF", tiffinfo={0x0112: 6}),
        b"no picture",
        _stored_turned("PNG", 6)[:60],
        _with_exif(OVER["scans"][0]),
    ],
    ids=["upright", "a TIFF", "no picture", "cut", "many scans"],
)
def test_what_is_upright_or_unreadable_stays_as_it_is(data: bytes) -> None:
    assert upright(data) is data


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "F", "I"])
def test_every_mode_becomes_a_png_of_its_size(mode: str) -> None:
    png = _pixels(as_png(Image.fromarray(PIXELS).convert(mode)))
    assert png.shape[:2] == HW


@pytest.mark.parametrize("command", ["annotate", "preview"])
def test_a_photograph_is_asked_about_upright(cvat: StandIn, tmp_path: Path, command: str) -> None:
    asked: list[np.ndarray] = []

    def answer(request: dict[str, Any]) -> Any:
        asked.append(_pixels(base64.b64decode(request["image"])))
        return detect_each_type(request)

    cvat.answers = {"": answer}
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "photo.png").write_bytes(_stored_turned("PNG", 6))
    output = tmp_path / ("out" if command == "annotate" else "page.html")
    assert main([command, "--images", str(folder), "--function", f"{cvat.url}/", "--output", str(output)]) == 0
    assert (asked[-1] == PIXELS).all()
