"""Pictures that do not come from CVAT, as it would send them: upright, and in a format that functions read."""

import io

from PIL import Image, ImageOps

from promptable.cvat.pages.pictures import check_header, eight_bit, opened
from promptable.cvat.server.errors import CvatError

_ORIENTATION = 0x0112
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def upright(data: bytes) -> bytes:
    """A file's bytes, as PNG where EXIF says that the picture is to be turned: CVAT turns it, functions do not.

    A TIFF, which functions turn, and what cannot be read stay as they are: who reads them says why.
    """
    try:
        with opened(data) as file:
            if file.format == "TIFF" or file.getexif().get(_ORIENTATION, 1) == 1:
                return data
            check_header(file, data)
            return as_png(ImageOps.exif_transpose(file))
    except CvatError:
        return data


def as_png(image: Image.Image) -> bytes:
    """A picture as a PNG file; in eight bits (RGB) where PNG has no such pixels, as of CMYK."""
    packed = io.BytesIO()
    (image if image.mode in _PNG_MODES else eight_bit(image)).save(packed, "PNG", compress_level=1)
    return packed.getvalue()
