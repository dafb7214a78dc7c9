"""AVIF (AOM, AV1 Image File Format): through libavif, which reads the header without decoding. The first picture."""

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
        """As ``Picture`` has it."""
        return self.opened.height, self.opened.width

    def rgb(self) -> NDArray[np.uint8]:
        """As ``Picture`` has it."""
        with _damage_as_value_error():
            return colours_of(self.opened)


def read(data: bytes) -> Avif:
    """The boxes before the coded pictures."""
    with _damage_as_value_error():
        return Avif(AvifImageFile(BytesIO(data)))


@contextmanager
def _damage_as_value_error() -> Iterator[None]:
    """libavif's errors come as RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(error) from error
