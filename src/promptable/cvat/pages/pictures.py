"""Pictures as pages show them: upright, in eight bits, no larger than asked for, and part of the page itself."""

import base64
import io

from PIL import Image, ImageOps

from promptable.cvat.server.errors import CvatError


def shown(data: bytes, longest: int, hw: tuple[int, int] | None = None) -> tuple[tuple[int, int], Image.Image]:
    """Height and width that coordinates are in, and the picture (RGB), its longest side at most ``longest`` pixels.

    ``data`` is a file's bytes; ``hw`` is what CVAT says of it, None for its own. Raises CvatError for no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as file:
            image = _eight_bit(ImageOps.exif_transpose(file))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise CvatError(f"a picture cannot be read: {error}") from None
    hw = hw or (image.height, image.width)
    image = image.crop((0, 0, hw[1], hw[0]))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return hw, image


def address(image: Image.Image, quality: int) -> str:
    """A picture as a data address; ``quality`` is WebP's, up to 100."""
    packed = io.BytesIO()
    image.save(packed, "WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"


def _eight_bit(image: Image.Image) -> Image.Image:
    """RGB; numbers of more than eight bits are spread over what the picture holds, or it would be white or black."""
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    low, high = (float(bound) for bound in image.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low or 1.0)
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("RGB")
