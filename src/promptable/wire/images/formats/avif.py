"""AVIF (AOM, AV1 Image File Format): through libavif, which reads the header without decoding. The first picture."""

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
        return colours_of(self.opened)


def read(data: bytes) -> Avif:
    """The boxes before the coded pictures."""
    return Avif(AvifImageFile(BytesIO(data)))
