"""The right pixels of every kind of file, and the reason where a kind is refused."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from promptable.errors import BadRequestError
from promptable.wire.images.encoded import EncodedImage
from tests.wire.picture_files import LONG, SHORT, chunk, indexed_bmp, png, tiff
from tests.wire.samples import PIXELS, file_bytes

GRAY = PIXELS[..., 0]


def decoded(data):
    return EncodedImage(data).decode(1)


def as_rgb(gray):
    return np.repeat(np.asarray(gray, np.uint8)[..., None], 3, 2)


# GIF, Netpbm, JPEG 2000, AVIF, MPO


def test_gif_shows_its_first_picture():
    picture = Image.fromarray(PIXELS).quantize(16)
    for options in ({}, {"interlace": 0}, {"save_all": True, "append_images": [Image.fromarray(255 - PIXELS)]}):
        np.testing.assert_array_equal(
            decoded(file_bytes(picture, "GIF", **options)), np.asarray(picture.convert("RGB"))
        )


def test_gray_gif():
    np.testing.assert_array_equal(decoded(file_bytes(GRAY, "GIF")), as_rgb(GRAY))


def gif(screen_wh, frame_xywh, codes, transparent=None):
    """Two colours, red and blue; 3-bit codes: 4 clears, 5 ends."""
    numbers = sum(code << 3 * i for i, code in enumerate([4, *codes, 5]))
    packed = numbers.to_bytes((3 * (len(codes) + 2) + 7) // 8, "little")
    control = b"" if transparent is None else bytes([0x21, 0xF9, 4, 1, 0, 0, transparent, 0])
    words = np.array([*screen_wh, *frame_xywh], "<u2")
    screen, frame = words[:2].tobytes(), words[2:].tobytes()
    palette = bytes([255, 0, 0, 0, 0, 255])
    image = b"," + frame + bytes([0, 2, len(packed)]) + packed + b"\0"
    return b"GIF89a" + screen + bytes([0x80, 0, 0]) + palette + control + image + b";"


@pytest.mark.parametrize(("transparent", "around"), [(None, "r"), (0, "r"), (1, "b")])
def test_a_gif_smaller_than_its_canvas(transparent, around):
    colours = {"r": (255, 0, 0), "b": (0, 0, 255)}
    image = decoded(gif((3, 2), (1, 0, 2, 1), [1, 0], transparent))
    expected = [[around, "b", "r"], [around] * 3]
    np.testing.assert_array_equal(image, [[colours[name] for name in row] for row in expected])


NETPBM = {
    "P1": (b"P1 # a comment\n3 2\n1 0 1\n010\n", [[0, 255, 0], [255, 0, 255]]),
    "P2": (b"P2\n3 1\n# high\n100\n0 50\n100", [[0, 128, 255]]),
    "P2 of 12 bits": (b"P2 3 1 4095 1000 1510 6100", [[0, 26, 255]]),
    "P4": (b"P4\n10 2\n" + bytes([0b10100000, 0b01000000, 0xFF, 0xC0]), [[0, 255, 0, *[255] * 6, 0], [0] * 10]),
    "P5": (b"P5 3 1 255\n" + bytes([0, 7, 255]), [[0, 7, 255]]),
    "P5 of 3 bits": (b"P5 3 1 7\n" + bytes([0, 7, 9]), [[0, 255, 255]]),
    "P5 of 16 bits": (b"P5 3 1 65535\n" + np.array([1000, 1510, 6100], ">u2").tobytes(), [[0, 26, 255]]),
    "two pictures": (b"P5 1 1 255\n\x09P5 1 1 255\n\x08", [[9]]),
}


@pytest.mark.parametrize("name", NETPBM)
def test_netpbm_gray(name):
    data, expected = NETPBM[name]
    np.testing.assert_array_equal(decoded(data), as_rgb(expected))


def test_netpbm_colours():
    deep = np.array([[0, 4095, 2048]], ">u2").tobytes()
    for data in (b"P3 1 1 15 0 15 8\n", b"P6 1 1 4095\n" + deep):
        np.testing.assert_array_equal(decoded(data)[0, 0], [0, 255, 136 if data[1:2] == b"3" else 128])
    np.testing.assert_array_equal(decoded(file_bytes(PIXELS, "PPM")), PIXELS)


@pytest.mark.parametrize(
    "data", [b"P2 2 1 255 1", b"P2 2 1 255 1 x", b"P5 2 1 255 ", b"P6 0 1 255 ", b"P5 2 1 0 aa", b"P1 2 1 02"]
)
def test_broken_netpbm(data):
    with pytest.raises(BadRequestError, match=r"^image: expected a complete picture file, got a broken P.M"):
        decoded(data)


@pytest.mark.parametrize("options", [{}, {"no_jp2": True}], ids=["jp2", "codestream"])
def test_jpeg_2000(options):
    np.testing.assert_array_equal(decoded(file_bytes(PIXELS, "JPEG2000", **options)), PIXELS)
    np.testing.assert_array_equal(decoded(file_bytes(GRAY, "JPEG2000", **options)), as_rgb(GRAY))
    with_alpha = np.dstack([PIXELS, GRAY])
    np.testing.assert_array_equal(decoded(file_bytes(with_alpha, "JPEG2000", **options)), PIXELS)


def test_deep_gray_jpeg_2000_is_stretched():
    values = np.array([[1000, 1510], [2020, 6100]], np.uint16)
    np.testing.assert_array_equal(decoded(file_bytes(values, "JPEG2000")), as_rgb([[0, 26], [51, 255]]))


def test_avif():
    others = {"save_all": True, "append_images": [Image.fromarray(255 - PIXELS)]}
    for options in ({}, others):
        image = decoded(file_bytes(PIXELS, "AVIF", quality=100, subsampling="4:4:4", **options))
        assert np.abs(image.astype(int) - PIXELS).max() <= 8


@pytest.mark.parametrize("box", [b"mdat", b"pitm"])
def test_a_damaged_avif_is_refused(box):
    data = file_bytes(PIXELS, "AVIF")
    at = data.find(box) + 4
    with pytest.raises(BadRequestError, match=r"^image: expected a complete picture file, got a broken AVIF"):
        decoded(data[:at] + b"\xff" * 40 + data[at + 40 :])


def test_mpo_is_the_jpeg_that_it_begins_with():
    first = file_bytes(PIXELS, "JPEG")
    both = file_bytes(PIXELS, "MPO", save_all=True, append_images=[Image.fromarray(255 - PIXELS)])
    np.testing.assert_array_equal(decoded(both), decoded(first))


# PNG


def test_16_bit_gray_with_alpha_is_stretched_as_without():
    values = np.array([[0, 1000, 2000, 4095]], ">u2")
    alpha = np.array([[9, 65535, 300, 0]], ">u2")
    data = png((1, 4), 16, 4, [np.stack([values, alpha], -1, dtype=">u2").tobytes()])
    np.testing.assert_array_equal(decoded(data), as_rgb([[0, 62, 125, 255]]))
    np.testing.assert_array_equal(decoded(data), decoded(png((1, 4), 16, 0, [values.tobytes()])))


@pytest.mark.parametrize(("bits", "expected"), [(1, [0, 255, 0, 255]), (2, [0, 170, 85, 255]), (4, [0, 17, 34, 255])])
def test_png_of_few_bits(bits, expected):
    row = {1: b"\x50", 2: b"\x27", 4: b"\x01\x2f"}[bits]
    np.testing.assert_array_equal(decoded(png((1, 4), bits, 0, [row])), as_rgb([expected]))
    palette = chunk(b"PLTE", bytes(range(48)))
    first = decoded(png((1, 4), bits, 3, [row], palette))[0, 1].tolist()
    index = expected[1] * (2**bits - 1) // 255
    assert first == [3 * index, 3 * index + 1, 3 * index + 2]


# BMP


@pytest.mark.parametrize("palette", [[(0, 0, 0), (255, 255, 255)], [(1, 2, 3), (9, 8, 7)], [(0, 0, 0), (1, 1, 1)]])
def test_an_8_bit_bmp_of_two_colours(palette):
    """Pillow takes one of black and white for one of 1 bit, and reads noise."""
    indices = (GRAY > 127).astype(np.uint8)
    np.testing.assert_array_equal(decoded(indexed_bmp(indices, palette)), np.array(palette, np.uint8)[indices])


# TIFF

STEPS = np.array([[0, 1, 2], [3, 4, 255]])
STRETCHED = as_rgb([[0, 1, 2], [3, 4, 255]])
BOTH_ORDERS = pytest.mark.parametrize("order", "<>")
BOTH_WAYS = pytest.mark.parametrize("compression", [1, 8], ids=["plain", "deflate"])


@BOTH_ORDERS
@BOTH_WAYS
@pytest.mark.parametrize("dtype", ["u2", "i2", "u4", "i4", "f4", "f8", "f2", "i1"])
def test_every_depth_of_gray_is_stretched(dtype, order, compression):
    lowest = {"u4": 2**31 - 100, "i4": -100, "i2": -100, "i1": -128}.get(dtype, 0)
    values = (STEPS + lowest).astype(dtype)
    np.testing.assert_array_equal(decoded(tiff(values, 1, order, compression=compression)), STRETCHED)
    np.testing.assert_array_equal(decoded(tiff(values, 0, order, compression=compression)), 255 - STRETCHED)


@BOTH_ORDERS
@BOTH_WAYS
@pytest.mark.parametrize("planar", [1, 2], ids=["chunky", "planar"])
@pytest.mark.parametrize(("photometric", "extra"), [(2, ()), (2, (2,)), (2, (0,)), (5, ())])
def test_16_bit_colour_keeps_the_high_byte(photometric, extra, planar, order, compression):
    samples = (4 if photometric == 5 else 3) + len(extra)
    values = np.arange(6 * samples, dtype=np.uint16).reshape(2, 3, samples) * 2000
    more = {338: (SHORT, list(extra))} if extra else {}
    image = decoded(tiff(values, photometric, order, planar, compression, more))
    high = (values >> 8).astype(np.uint8)
    ink = Image.fromarray(high, "CMYK").convert("RGB") if photometric == 5 else high[..., :3]
    np.testing.assert_array_equal(image, np.asarray(ink))


@BOTH_ORDERS
def test_gray_of_12_bits(order):
    packed = np.frombuffer(bytes.fromhex("0003e87d0fff"), np.uint8)  # 0, 1000, 2000, 4095
    data = tiff(packed[None], 1, order, more={256: (LONG, [4]), 258: (SHORT, [12])})
    np.testing.assert_array_equal(decoded(data), as_rgb([[0, 62, 125, 255]]))


def test_tiles():
    """Four tiles of 16 x 16 pixels, of which a picture of 20 x 18 needs but parts."""
    whole = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)
    tiles = np.concatenate([whole[y : y + 16, x : x + 16].ravel() for y in (0, 16) for x in (0, 16)])
    tags = {256: (LONG, [18]), 257: (LONG, [20]), 322: (LONG, [16]), 323: (LONG, [16])}
    places = {324: (LONG, [8, 264, 520, 776]), 325: (LONG, [256] * 4)}
    data = tiff(tiles[None], more=tags | places, without=(273, 278, 279))
    np.testing.assert_array_equal(decoded(data), as_rgb(whole[:20, :18]))


@BOTH_ORDERS
def test_16_bit_gray_with_alpha_in_a_tiff(order):
    values = np.array([[[0, 7], [1000, 65535], [2000, 0], [4095, 9]]], np.uint16)
    for meaning in (0, 2):
        data = tiff(values, 1, order, more={338: (SHORT, [meaning])})
        np.testing.assert_array_equal(decoded(data), as_rgb([[0, 62, 125, 255]]))


def test_gray_with_associated_alpha_is_divided_by_it():
    values = np.array([[[50, 255], [50, 100], [0, 0]]], np.uint8)
    np.testing.assert_array_equal(decoded(tiff(values, 1, more={338: (SHORT, [1])})), as_rgb([[50, 127, 0]]))


@pytest.mark.parametrize("factor", [1, 257], ids=["of 8 bits", "of 16 bits"])
def test_a_colour_map(factor):
    colours = np.arange(768).reshape(256, 3) % 256
    data = tiff(GRAY, 3, more={320: (SHORT, (colours.T.ravel() * factor).tolist())})
    np.testing.assert_array_equal(decoded(data), colours[GRAY])


def test_coarser_colours_of_a_plain_tiff():
    """Y of 2 x 2 pixels, then one Cb and one Cr of them all."""
    values = {256: (LONG, [2]), 257: (LONG, [2]), 277: (SHORT, [3]), 258: (SHORT, [8, 8, 8]), 530: (SHORT, [2, 2])}
    data = tiff(np.array([[90, 90, 90, 90, 128, 128]], np.uint8), 6, more=values | {278: (LONG, [2])})
    np.testing.assert_array_equal(decoded(data), np.full((2, 2, 3), 90))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_as_its_tag_says(orientation):
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = EncodedImage(tiff(upright, more={274: (SHORT, [orientation])}))
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, -1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright),
    }[orientation]
    assert image.hw(1) == turned.shape
    np.testing.assert_array_equal(image.decode(1), as_rgb(turned))


U8 = np.zeros((2, 3), np.uint8)
UNSUPPORTED = {
    "JPEG 2000 in a TIFF": (tiff(U8, compression=34712), r"a TIFF compressed by JPEG 2000 \(34712\) is not supported"),
    "an unknown method": (tiff(U8, compression=4711), r"a TIFF compressed by an unknown method \(4711\)"),
    "five bands": (tiff(np.zeros((2, 3, 5), np.uint8)), "a TIFF of 5 unsigned samples of 8 bits, photometric"),
    "float colours": (tiff(np.zeros((2, 3, 3), np.float32), 2), "a TIFF of 3 floating-point samples of 32 bits"),
    "Lab": (tiff(np.zeros((2, 3, 3), np.uint8), 8), r"a TIFF of CIE L\*a\*b\* is not supported"),
    "64-bit integers": (tiff(U8.astype(np.uint64)), "a TIFF of 1 unsigned samples of 64 bits"),
    "raw camera data": (tiff(U8, 32803), "a TIFF of raw camera data is not supported"),
    "planes of divided colours": (
        tiff(np.zeros((2, 3, 4), np.uint8), 2, planar=2, more={338: (SHORT, [1])}),
        "4 unsigned samples of 8 bits in planes of their own",
    ),
    "an unknown chunk": (png((1, 1), 8, 0, [b"a"], chunk(b"CgBI", b"")), "a PNG with the chunk"),
    "a 12-bit JPEG": (b"\xff\xd8\xff\xc1\0\x0b\x0c\0\x08\0\x08\x01\0\0\0\xff\xda\0\x02", "1 components of 12 bits"),
    "a lossless JPEG": (b"\xff\xd8\xff\xc3\0\x0b\x08\0\x08\0\x08\x01\0\0\0\xff\xda\0\x02", "a lossless or"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture is not supported: save it as 8-bit PNG or JPEG"),
    "ICO": (b"\0\0\1\0\1\0", r"an icon \(ICO\) is not supported"),
    "Photoshop": (b"8BPS\0\1", "a Photoshop file is not supported"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG is not supported"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_named(name):
    data, message = UNSUPPORTED[name]
    with pytest.raises(BadRequestError, match=f"^image: .*{message}") as refused:
        decoded(data)
    assert "broken" not in str(refused.value)


DAMAGED = tiff(np.arange(60_000, dtype=np.uint16).reshape(200, 300), compression=8)
TRANSPARENT = file_bytes(Image.fromarray(PIXELS).quantize(8), "PNG", transparency=bytes([0, 255]))
NOISY = {
    "a damaged TIFF": DAMAGED[:20] + bytes(90) + DAMAGED[110:],
    "a TIFF of odd tags": tiff(U8, more={tag: (SHORT, [1, 2, 3]) for tag in range(60_000, 60_500)}),
    "a palette with transparency": TRANSPARENT,
}


def test_nothing_is_written_to_the_streams(tmp_path):
    for name, data in NOISY.items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import pathlib, sys; from promptable.errors import BadRequestError\n"
        "from promptable.wire.images.encoded import EncodedImage\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try: EncodedImage(path.read_bytes()).decode(1)\n"
        "    except BadRequestError: pass\n"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", code, tmp_path], capture_output=True, check=True)  # noqa: S603
    assert (done.stdout, done.stderr) == (b"", b"")
