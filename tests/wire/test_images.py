import base64
import re
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.ImageFile import ImageFile

from promptable.errors import BadRequestError
from promptable.wire.images.encoded import EncodedImage, parse_image
from tests.wire.samples import IMAGE, PIXELS, base64_text, colours, file_bytes

GRAY = PIXELS[..., 0]
ALPHA = PIXELS[..., 1]


def decoded(data, max_megapixels=1.0):
    return parse_image({"image": base64_text(data)}).decode(max_megapixels)


def as_rgb(gray):
    return np.repeat(gray[..., None], 3, 2)


LOSSLESS = {
    "png": file_bytes(PIXELS, "PNG"),
    "bmp": file_bytes(PIXELS, "BMP"),
    "webp": file_bytes(PIXELS, "WEBP", lossless=True),
    "tiff": file_bytes(PIXELS, "TIFF"),
    "tiff lzw": file_bytes(PIXELS, "TIFF", compression="tiff_lzw"),
    "big tiff": file_bytes(PIXELS, "TIFF", big_tiff=True),
    "rgba png": file_bytes(np.dstack([PIXELS, ALPHA]), "PNG"),
    "rgba tiff": file_bytes(np.dstack([PIXELS, ALPHA]), "TIFF"),
    "16-bit colour png": cv2.imencode(".png", PIXELS[..., ::-1].astype(np.uint16) * 256 + 77)[1].tobytes(),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_colours_come_back_exactly_and_alpha_is_dropped(name):
    image = decoded(LOSSLESS[name])
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, PIXELS)


GRAYS = {
    "png": file_bytes(GRAY, "PNG"),
    "bmp": file_bytes(GRAY, "BMP"),
    "tiff": file_bytes(GRAY, "TIFF"),
    "gray and alpha png": file_bytes(Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(ALPHA)]), "PNG"),
}


@pytest.mark.parametrize("name", GRAYS)
def test_gray_becomes_three_equal_channels(name):
    np.testing.assert_array_equal(decoded(GRAYS[name]), as_rgb(GRAY))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_jpeg_equals_the_decoder_of_opencv(mode, options):
    data = file_bytes(Image.fromarray(PIXELS).convert(mode), "JPEG", **options)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    np.testing.assert_array_equal(decoded(data), cv2.imdecode(np.frombuffer(data, np.uint8), flags))


JPEG_OPTIONS = st.fixed_dictionaries(
    {
        "quality": st.integers(1, 100),
        "subsampling": st.integers(0, 2),
        "progressive": st.booleans(),
        "restart_marker_blocks": st.sampled_from([0, 1, 3]),
    }
)


@settings(max_examples=50)
@given(colours(), st.sampled_from(["RGB", "L", "CMYK"]), JPEG_OPTIONS)
def test_a_jpeg_equals_what_pillow_opens(pixels, mode, options):
    data = file_bytes(Image.fromarray(pixels).convert(mode), "JPEG", **options)
    np.testing.assert_array_equal(decoded(data), np.array(Image.open(BytesIO(data)).convert("RGB")))


@given(colours(), st.sampled_from(["RGB", "RGBA", "L", "LA", "P", "1"]))
def test_a_png_equals_what_pillow_opens(pixels, mode):
    data = file_bytes(Image.fromarray(pixels).convert(mode), "PNG")
    np.testing.assert_array_equal(decoded(data), np.array(Image.open(BytesIO(data)).convert("RGB")))


def test_black_and_white_fax_tiff():
    bits = GRAY > 127
    data = file_bytes(Image.fromarray(bits), "TIFF", compression="group4")
    np.testing.assert_array_equal(decoded(data), as_rgb(bits * np.uint8(255)))


def test_a_palette_with_transparency_shows_the_palettes_colours():
    picture = Image.fromarray(PIXELS).quantize(8)
    data = file_bytes(picture, "PNG", transparency=bytes([0, 255, 128, 255, 0, 255, 255, 9]))
    np.testing.assert_array_equal(decoded(data), np.asarray(picture.convert("RGB")))


def test_16_bit_gray_is_stretched_over_its_real_range():
    values = np.array([[1000, 1510], [2020, 6100]], np.uint16)
    expected = as_rgb(np.array([[0, 26], [51, 255]], np.uint8))  # (v - 1000) / 20 = 0, 25.5, 51, 255
    for data in (file_bytes(values, "PNG"), file_bytes(values, "TIFF"), file_bytes(values.astype(">u2"), "TIFF")):
        np.testing.assert_array_equal(decoded(data), expected)


def as_one_formula(values):
    """Gray levels by the rule as it is written, on all values at once."""
    wide = values.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    bounded = np.nan_to_num(wide, nan=low, posinf=high, neginf=low)
    return np.rint((bounded - low) / ((high - low) or 1.0) * 255).astype(np.uint8)


RANDOM = np.random.default_rng(0)
DEEP = {
    "all of 16 bits": np.arange(2**16, dtype=np.uint16).reshape(256, 256),
    "a part of 16 bits": RANDOM.integers(1000, 40_123, (700, 800), np.uint16),
    "one value": np.full((3, 4), 7, np.uint16),
    "narrow 32 bits": RANDOM.integers(-40_000, 25_535, (700, 800), np.int32),
    "wide 32 bits": RANDOM.integers(-(2**31), 2**31 - 1, (700, 800), np.int32),
    "floats": np.where(RANDOM.random((700, 800)) < 0.1, np.nan, RANDOM.normal(0, 9, (700, 800))).astype(np.float32),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_gray_is_stretched_by_one_formula(name):
    expected = as_one_formula(DEEP[name])
    np.testing.assert_array_equal(decoded(file_bytes(DEEP[name], "TIFF"))[..., 0], expected)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_deep_gray_is_stretched_in_little_memory(kind):
    values = RANDOM.integers(0, 60_000, (3000, 4000)).astype(kind)
    image = EncodedImage(file_bytes(values, "TIFF"))
    tracemalloc.start()
    image.decode(max_megapixels=12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * values.size, "a pixel has 4 bytes of value, once more while its range is sought, and 4 of levels"


WITH_EVER_MORE_MEMORY = """
import os, resource, sys
from promptable.wire.images.encoded import EncodedImage

image = EncodedImage(sys.stdin.buffer.read())
image.hw(5)
with open("/proc/self/statm") as statm:
    taken = int(statm.read().split()[0]) * resource.getpagesize()
for more in range(0, 80, 4):
    if child := os.fork():  # one that has failed before holds memory that the next one lacks
        os.waitpid(child, 0)
        continue
    resource.setrlimit(resource.RLIMIT_AS, (taken + more * 2**20, resource.RLIM_INFINITY))
    try:
        image.decode(5)
    except Exception as error:
        print(type(error).__name__, error, sep=": ", flush=True)
    else:
        print("decoded", flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory can be limited, and read, on Linux")
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_lack_of_memory_is_not_the_files_fault(mode):
    """Wherever it runs out: before the pixels are decoded, or before they are RGB."""
    file = BytesIO()
    Image.new(mode, (2000, 2000)).save(file, "JPEG")
    command = [sys.executable, "-c", WITH_EVER_MORE_MEMORY]
    said = subprocess.run(command, input=file.getvalue(), capture_output=True, check=True).stdout  # noqa: S603
    assert set(said.decode().splitlines()) == {"OutOfMemoryError: not enough memory to decode the picture", "decoded"}


@pytest.mark.parametrize("name", LOSSLESS)
def test_the_size_is_known_without_decoding(name, monkeypatch):
    monkeypatch.setattr(ImageFile, "load", None)
    monkeypatch.setattr(Image.Image, "frombytes", None)
    image = EncodedImage(LOSSLESS[name])
    assert image.hw(1) == PIXELS.shape[:2]
    with pytest.raises(BadRequestError, match=r"image: expected at most 0\.0001 megapixels"):
        image.hw(0.0001)
    with pytest.raises(BadRequestError, match="image: expected a"):
        EncodedImage(LOSSLESS[name][:9]).hw(1)


def with_zero(form, before, at, size, **options):
    """A file whose header says 0, in ``size`` bytes that lie ``at`` bytes after the first ``before``."""
    data = bytearray(file_bytes(PIXELS, form, **options))
    start = data.index(before) + at
    data[start : start + size] = bytes(size)
    return bytes(data)


WITHOUT_PIXELS = {
    "WebP without width": with_zero("WEBP", b"VP8 ", 14, 2),
    "WebP without height": with_zero("WEBP", b"VP8 ", 16, 2),
    "BMP": with_zero("BMP", b"BM", 18, 4),
    "BMP of OS/2": struct.pack("<2s12xIHHHH", b"BM", 12, 5, 0, 1, 24),
    "TIFF": with_zero("TIFF", struct.pack("<HHI", 0x0101, 4, 1), 8, 4),
    "JPEG 2000": with_zero("JPEG2000", b"\xff\x51", 6, 8),
}


@pytest.mark.parametrize("name", WITHOUT_PIXELS)
def test_a_header_without_height_or_width_is_refused(name):
    with pytest.raises(BadRequestError, match=r"^image: expected a complete .*: no height or width$"):
        EncodedImage(WITHOUT_PIXELS[name]).hw(1)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_is_that_of_the_turned_tiff(orientation):
    picture = EncodedImage(file_bytes(PIXELS, "TIFF", tiffinfo={0x0112: orientation}))
    assert picture.hw(1) == picture.decode(1).shape[:2]


def test_32_bit_integers_are_stretched_too():
    values = np.array([[-1_000_000, 0], [250_000, 1_000_000]], np.int32)
    np.testing.assert_array_equal(decoded(file_bytes(values, "TIFF"))[..., 0], [[0, 128], [159, 255]])


def test_float_gray_is_stretched_over_its_finite_range():
    values = np.array([[-0.5, 0.0, np.nan], [0.5, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(decoded(file_bytes(values, "TIFF"))[..., 1], [[0, 128, 0], [255, 255, 0]])


@pytest.mark.parametrize("values", [np.full((2, 3), 7e30), np.full((2, 3), np.nan)], ids=["constant", "all NaN"])
def test_float_gray_without_a_range_is_black(values):
    assert not decoded(file_bytes(values.astype(np.float32), "TIFF")).any()


def test_the_widest_float_range_does_not_overflow():
    values = np.array([[-3e38, 0.0, 3e38]], np.float32)
    np.testing.assert_array_equal(decoded(file_bytes(values, "TIFF"))[0, :, 0], [0, 128, 255])


def test_cmyk_of_a_tiff_and_of_an_adobe_jpeg():
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:, :8] = (255, 0, 0, 0)
    picture = Image.fromarray(ink, "CMYK")
    for data, tolerance in ((file_bytes(picture, "TIFF"), 0), (file_bytes(picture, "JPEG", quality=100), 3)):
        image = decoded(data).astype(int)
        assert np.abs(image[:, :7] - (0, 255, 255)).max() <= tolerance
        assert np.abs(image[:, 9:] - 255).max() <= tolerance


def test_exif_orientation_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("PNG", "JPEG", "WEBP"):
        assert decoded(file_bytes(PIXELS, form, exif=exif)).shape == PIXELS.shape


def test_of_an_animation_the_first_picture_counts():
    others = [Image.fromarray(255 - PIXELS)]
    for form, options in (("TIFF", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        data = file_bytes(PIXELS, form, save_all=True, append_images=others, **options)
        np.testing.assert_array_equal(decoded(data), PIXELS)


@pytest.mark.parametrize("hw", [(1, 1), (3, 20_000), (20_000, 3)], ids=str)
def test_unusual_sizes(hw):
    pixels = np.full((*hw, 3), 9, np.uint8)
    np.testing.assert_array_equal(decoded(file_bytes(pixels, "PNG")), pixels)


ALL_FORMS = {
    "jpeg": file_bytes(PIXELS, "JPEG"),
    "progressive jpeg": file_bytes(PIXELS, "JPEG", progressive=True),
    "webp": file_bytes(PIXELS, "WEBP"),
    "gif": file_bytes(GRAY, "GIF"),
    "ppm": file_bytes(PIXELS, "PPM"),
    "jpeg 2000": file_bytes(PIXELS, "JPEG2000"),
    "avif": file_bytes(PIXELS, "AVIF"),
    **{name: LOSSLESS[name] for name in ("png", "bmp", "tiff", "tiff lzw")},
}


@pytest.mark.parametrize("name", ALL_FORMS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(name, kept):
    data = ALL_FORMS[name]
    with pytest.raises(BadRequestError, match=r"^image: expected a"):
        decoded(data[: int(kept * len(data))])


def test_a_corrupt_file_is_refused():
    data = bytearray(LOSSLESS["png"])
    data[60] ^= 0xFF
    with pytest.raises(BadRequestError, match=r"^image: expected a complete picture file, got a broken PNG"):
        decoded(bytes(data))


def png_header(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_the_limit_in_megapixels_is_inclusive():
    data = file_bytes(np.zeros((100, 200, 3), np.uint8), "PNG")
    assert decoded(data, max_megapixels=0.02).shape == (100, 200, 3)
    with pytest.raises(BadRequestError, match=r"^image: expected at most 0\.0199 megapixels, got 200 x 100 pixels"):
        decoded(data, max_megapixels=0.0199)


@pytest.mark.parametrize("side", [11_000, 50_000])
def test_a_decompression_bomb_is_refused_by_its_header(side):
    with pytest.raises(BadRequestError, match=f"^image: expected at most 100 megapixels, got {side} x {side} pixels"):
        decoded(png_header(side, side), max_megapixels=100)


def test_a_webp_bomb_is_refused():
    data = bytearray(file_bytes(PIXELS, "WEBP", save_all=True, append_images=[Image.fromarray(255 - PIXELS)]))
    data[24:30] = b"\xff\x3f\x00\xff\x3f\x00"  # the canvas: 16384 x 16384
    with pytest.raises(BadRequestError, match=r"^image: expected"):
        decoded(bytes(data), max_megapixels=100)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF"])
def test_pillows_own_limit_is_not_ours(form, monkeypatch):
    data = file_bytes(np.zeros((100, 200, 3), np.uint8), form)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15_000)  # so Image.open would warn, and refuse twice as many
    with warnings.catch_warnings(action="error"):
        assert decoded(data).shape == (100, 200, 3)


def test_good_pictures_leave_no_trace_on_the_streams(tmp_path):
    paths = []
    for name, data in (ALL_FORMS | LOSSLESS).items():
        paths.append(tmp_path / name.replace(" ", "-"))
        paths[-1].write_bytes(data + b"trailing bytes")
    code = (
        "import pathlib, sys; from promptable.wire.images.encoded import EncodedImage; "
        "[EncodedImage(pathlib.Path(p).read_bytes()).decode(1) for p in sys.argv[1:]]"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, check=True)  # noqa: S603
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"image: expected a text, got nothing \(absent or null\)"),
        (7, "image: expected a text, got the number 7"),
        ([IMAGE], "image: expected a text, got a list of 1"),
        ("", "image: expected the base64 of a picture file, got a text of 0 characters"),
        ("not base64!", "image: expected base64, got a text of 11 characters, 'not base64!'"),
        (IMAGE[:-1], "image: expected base64"),
        (IMAGE[:40] + "\n" + IMAGE[40:], "image: expected base64"),
        ("ÄÖÜ", "image: expected base64"),
        ("data:image/png;base64," + IMAGE, "image: expected plain base64 without a 'data:...;base64,' prefix"),
    ],
)
def test_the_field_must_be_base64(value, message):
    with pytest.raises(BadRequestError, match=f"^{message}"):
        parse_image({"image": value})


@given(st.binary(min_size=1), st.text("A=+ \n-", max_size=3), st.integers(0))
def test_base64_is_what_the_standard_library_takes_for_it(data, change, at):
    text = base64_text(data)
    text = text[: at % (len(text) + 1)] + change + text[at % (len(text) + 1) :]
    try:
        expected = base64.b64decode(text, validate=True)
    except ValueError as error:
        with pytest.raises(BadRequestError, match=re.escape(str(error))):
            parse_image({"image": text})
    else:
        assert parse_image({"image": text}).data == expected


def test_a_missing_field_is_named():
    with pytest.raises(BadRequestError, match=r"^image: expected a text, got nothing"):
        parse_image({})


@pytest.mark.parametrize("data", [b"hello", b"RIFF1234WAVE", b"\0\0\0\x0cftypmp42", bytes(9)], ids=repr)
def test_other_files_are_refused_by_their_first_bytes(data):
    with pytest.raises(
        BadRequestError, match=r"^image: expected a JPEG, PNG, BMP, GIF, PPM, .* or AVIF file, got \d+ bytes"
    ):
        decoded(data)


def test_errors_stay_short():
    with pytest.raises(BadRequestError) as caught:
        parse_image({"image": "!" * 5_000_000})
    assert len(str(caught.value)) < 200


def test_the_digest_names_the_content():
    one, same, other = EncodedImage(b"abc"), EncodedImage(bytes(bytearray(b"abc"))), EncodedImage(b"abd")
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 32
    assert set(one.digest) <= set("0123456789abcdef")
    assert "abc" not in repr(one)
