"""AVIF (AOM, AV1 Image File Format): the first picture, read by libavif, which reads the header without decoding."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.AvifImagePlugin import AvifImageFile

from promptable.wire.images.picture import colours_of


@dataclass(frozen=True)
class Avif:
    """A picture that libavif has opened."""

    opened: AvifImageFile

    @property
    def hw(self) -> tuple[int, int]:
        """As in ``Picture``."""
        return self.opened.height, self.opened.width

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``."""
        with _damage_as_value_error():
            return colours_of(self.opened)


def read(data: bytes) -> Avif:
    """Read the boxes before the coded pictures."""
    with _damage_as_value_error():
        return Avif(AvifImageFile(BytesIO(data)))


@contextmanager
def _damage_as_value_error() -> Iterator[None]:
    """Turn libavif's errors, which are RuntimeError, into ValueError."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(error) from error
