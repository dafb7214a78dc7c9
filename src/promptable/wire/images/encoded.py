"""The field ``image`` of a request."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promptable.errors import BadRequestError
from promptable.wire.fields import as_text, expected
from promptable.wire.images.broken import refusing_broken_files
from promptable.wire.images.picture import Picture
from promptable.wire.images.signatures import kind_of


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of one picture file, not looked into yet. Its header is read once, whatever is asked of it."""

    data: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The content's name, 32 hexadecimal digits: equal bytes have equal digests."""
        return hashlib.blake2b(self.data, digest_size=16).hexdigest()

    def hw(self, max_megapixels: float) -> tuple[int, int]:
        """Height and width that the pixels will have, by the file's header. Raises BadRequestError as ``decode``."""
        height, width = self._picture.hw
        if height * width > max_megapixels * 1e6:
            size = f"{width} x {height}"
            raise BadRequestError(f"image: expected at most {max_megapixels:g} megapixels, got {size} pixels")
        return height, width

    def decode(self, max_megapixels: float) -> NDArray[np.uint8]:
        """The picture as uint8 RGB [H, W, 3], writable.

        Raises BadRequestError, naming ``image``, when the file is of another kind, is broken or truncated, holds what
        is not supported, or is over a bound: ``max_megapixels`` million pixels by its header, or one of its kind's.
        All bounds are checked before anything is decoded. Raises OutOfMemoryError for a picture that this machine
        cannot hold, which is not the file's fault.
        """
        self.hw(max_megapixels)
        with refusing_broken_files(kind_of(self.data).name):
            return self._picture.rgb()

    @cached_property
    def _picture(self) -> Picture:
        kind = kind_of(self.data)
        with refusing_broken_files(kind.name):
            return kind.read(self.data)


def parse_image(body: Mapping[str, object]) -> EncodedImage:
    """The field ``image``: strict base64 without line breaks, as CVAT sends it. Nothing is decoded yet."""
    text = as_text("image", body.get("image"))
    if text.startswith("data:"):
        raise expected("image", "plain base64 without a 'data:...;base64,' prefix", text)
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadRequestError(f"{expected('image', 'base64', text)}: {error}") from error
    if not data:
        raise expected("image", "the base64 of a picture file", text)
    return EncodedImage(data)
