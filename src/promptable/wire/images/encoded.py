"""The field ``image`` of a request."""

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pybase64
from blake3 import blake3
from numpy.typing import NDArray

from promptable.errors import BadRequestError
from promptable.wire.fields import as_text, expected
from promptable.wire.images.broken import refusing_broken_files
from promptable.wire.images.picture import Picture
from promptable.wire.images.signatures import kind_of


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of one picture file. The header is read at the first use and only once."""

    data: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """A BLAKE3 digest of the bytes, 32 hexadecimal digits: equal files have equal digests."""
        return blake3(self.data).hexdigest(length=16)

    def hw(self, max_megapixels: float) -> tuple[int, int]:
        """Height and width of the decoded picture, from the file's header. Raises BadRequestError as ``decode``."""
        height, width = self._picture.hw
        if height * width > max_megapixels * 1e6:
            size = f"{width} x {height}"
            raise BadRequestError(f"image: expected at most {max_megapixels:g} megapixels, got {size} pixels")
        return height, width

    def decode(self, max_megapixels: float) -> NDArray[np.uint8]:
        """The picture as uint8 RGB [H, W, 3], writable.

        Raises BadRequestError, naming ``image``, when the file is of an unknown kind, is damaged or truncated, uses an
        unsupported feature, or exceeds a bound: ``max_megapixels`` million pixels by its header, or a bound of its
        kind. All bounds are checked before anything is decoded. Raises OutOfMemoryError when this machine has too
        little memory for the picture.
        """
        self.hw(max_megapixels)
        with refusing_broken_files(kind_of(self.data).name):
            return self._picture.rgb()

    @cached_property
    def _picture(self) -> Picture:
        kind = kind_of(self.data)
        with refusing_broken_files(kind.name):
            picture = kind.read(self.data)
            if min(picture.hw) < 1:
                raise ValueError("no height or width")
            return picture


def parse_image(body: Mapping[str, object]) -> EncodedImage:
    """The field ``image``: strict base64 without line breaks, as CVAT sends it. No pixel is decoded yet.

    Raises BadRequestError for anything else.
    """
    text = as_text("image", body.get("image"))
    if text.startswith("data:"):
        raise expected("image", "plain base64 without a 'data:...;base64,' prefix", text)
    try:
        data = _bytes_of(text)
    except ValueError as error:
        raise BadRequestError(f"{expected('image', 'base64', text)}: {error}") from error
    if not data:
        raise expected("image", "the base64 of a picture file", text)
    return EncodedImage(data)


def _bytes_of(text: str) -> bytes:
    """The bytes of strict base64. Raises ValueError, with the reason, for anything else.

    pybase64 is some 25 times as fast as the standard library, but its errors give no reason.
    """
    with suppress(ValueError):
        return pybase64.b64decode(text, validate=True)
    return base64.b64decode(text, validate=True)
