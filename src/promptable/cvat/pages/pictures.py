"""Pictures as pages show them: upright, in eight bits, no larger than asked for, and part of the page itself."""

import base64
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from promptable.cvat.server.errors import CvatError
from promptable.wire.images.headers import codestream, jpeg
from promptable.wire.images.headers.tiff_bounds import check_bounds
from promptable.wire.images.headers.tiff_tags import read_tags

LARGEST = 100_000
"""More than any side: a picture in its full size, of which a part is cut."""
_AROUND = 1.8
"""A side of the part around boxes, in sides of what they span."""
_LEAST = 64
"""Pixels of the frame, across."""

_KINDS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What functions read too (docs/images.md). Pillow would hand other files to other programs, EPS to Ghostscript."""
_MOST_JPEG2000_MEGAPIXELS = 100
"""As functions bound all kinds, unless told otherwise: OpenJPEG takes 18 bytes a pixel. Pillow bounds the others."""
_ORIENTATION = 0x0112

Window = tuple[float, float, float, float]
"""The part of a frame that is shown: left, top, right, bottom in its pixels."""


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """The picture of a file's bytes, whose pixels are read when they are asked for.

    Raises CvatError of status 400 for what is no picture, and for what goes wrong inside: that is the file's fault.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_KINDS) as file:
            yield file
    except UnidentifiedImageError:
        raise CvatError("that is no picture, or a damaged one", 400) from None
    except (OSError, ValueError, RuntimeError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise CvatError(f"the picture cannot be read: {str(error).removeprefix('image: ')}", 400) from None


def shown(data: bytes, longest: int, hw: tuple[int, int] | None = None) -> tuple[tuple[int, int], Image.Image]:
    """Height and width that coordinates are in, and the picture (RGB), its longest side at most ``longest`` pixels.

    ``data`` is a file's bytes; ``hw`` is what CVAT says of it, None for its own. Raises CvatError for no picture.
    """
    with opened(data) as file:
        check_header(file, data)
        ImageOps.exif_transpose(file, in_place=True)
        image = eight_bit(file)
        hw = hw or (image.height, image.width)
        if hw != (image.height, image.width):
            image = image.crop((0, 0, hw[1], hw[0]))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return hw, image


def around(boxes: NDArray[np.float64], size: tuple[int, int], proportion: float) -> Window:
    """Around boxes [N, 4], ``proportion`` times as high as wide, or less of a frame of ``size`` (width, height) that is
    smaller than that: nothing lies outside the frame, so that no page has black bars."""
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    width = max(_AROUND * (high[0] - low[0]), _AROUND * (high[1] - low[1]) / proportion, _LEAST)
    extent = np.minimum([width, width * proportion], size)
    corner = np.clip((low + high - extent) / 2, 0, np.array(size) - extent)
    left, top, right, bottom = (float(side) for side in (*corner, *(corner + extent)))
    return left, top, right, bottom


def shown_hw(data: bytes) -> tuple[int, int]:
    """Height and width as the picture is shown, upright. Raises CvatError for no picture."""
    with opened(data) as image:
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
        return (image.width, image.height) if turned else (image.height, image.width)


def address(image: Image.Image, quality: int) -> str:
    """A picture as a data address; ``quality`` is WebP's, up to 100."""
    packed = io.BytesIO()
    image.save(packed, "WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"


def check_header(file: Image.Image, data: bytes) -> None:
    """Raise ValueError, or struct.error, for what would take long or much memory, by the bounds of the functions."""
    match file.format:
        case "JPEG2000":
            _check_memory(file, data)
        case "JPEG" | "MPO":
            jpeg.read(data)
        case "TIFF":
            check_bounds(read_tags(data), data)


def _check_memory(file: Image.Image, data: bytes) -> None:
    """Raise ValueError for a JPEG 2000 whose decoder would take much more memory than its pixels."""
    if file.width * file.height > _MOST_JPEG2000_MEGAPIXELS * 1e6:
        size = f"{file.width} x {file.height}"
        raise ValueError(f"expected a JPEG 2000 of at most {_MOST_JPEG2000_MEGAPIXELS} megapixels, got {size} pixels")
    stream = codestream.read(data)
    if file.size != stream.hw[::-1]:
        raise ValueError("its boxes say another size than its codestream")
    stream.check_blocks()


def eight_bit(image: Image.Image) -> Image.Image:
    """RGB; numbers of more than eight bits are spread over what the picture holds, or it would be white or black."""
    if image.mode == "RGB":
        image.load()
        return image
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low or 1.0)
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("RGB")
