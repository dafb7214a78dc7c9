"""The picture of a request: its original bytes, and their pixels as uint8 RGB."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promptable.errors import BadRequestError
from promptable.wire import pixels
from promptable.wire.fields import as_text, expected


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of one picture file, not looked into yet."""

    data: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The content's name, 32 hexadecimal digits: equal bytes have equal digests."""
        return hashlib.blake2b(self.data, digest_size=16).hexdigest()

    def hw(self, max_megapixels: float) -> tuple[int, int]:
        """Height and width by the file's header, without decoding; see ``pixels.hw`` for the errors."""
        return pixels.hw(self.data, max_megapixels)

    def decode(self, max_megapixels: float) -> NDArray[np.uint8]:
        """The pixels, uint8 RGB [H, W, 3]; see ``pixels.decode`` for the rules and the errors."""
        return pixels.decode(self.data, max_megapixels)


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
