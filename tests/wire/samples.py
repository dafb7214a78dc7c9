"""Small requests and masks for the tests."""

import base64
import io

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def file_bytes(picture, form, **options):
    """A Pillow picture, or uint8 or other pixels, as the bytes of a file."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def base64_text(data):
    return base64.b64encode(data).decode()


IMAGE = base64_text(file_bytes(PIXELS, "PNG"))


def mask_of(art):
    """A mask from rows of '.' and '#'."""
    return np.array([[mark == "#" for mark in row] for row in art.split()], bool)


def masks(largest=14):
    """Masks with at least one pixel, of every density."""
    sides = st.integers(1, largest)
    return hnp.arrays(np.bool_, st.tuples(sides, sides), elements=st.booleans()).filter(np.any)


def colours(largest=40):
    """Pictures of any colours, uint8 RGB [H, W, 3]."""
    sides = st.integers(1, largest)
    return hnp.arrays(np.uint8, st.tuples(sides, sides, st.just(3)))
