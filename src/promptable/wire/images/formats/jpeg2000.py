"""JPEG 2000 (ITU-T T.800): JP2 files and bare codestreams, decoded by OpenJPEG."""

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from promptable.wire.images.broken import unsupported
from promptable.wire.images.headers import codestream
from promptable.wire.images.levels import stretched
from promptable.wire.images.picture import colours_of, gray_to_rgb


@dataclass(frozen=True)
class Jpeg2000:
    """A picture of 1 to 4 components; ``deep`` is whether it is gray of more than 8 bits."""

    data: bytes = field(repr=False)
    hw: tuple[int, int]
    deep: bool

    def rgb(self) -> NDArray[np.uint8]:
        """As in ``Picture``. The size in the file's boxes, for which Pillow takes memory, must be the codestream's."""
        picture = Jpeg2KImageFile(BytesIO(self.data))
        if picture.size != self.hw[::-1]:
            raise ValueError(f"its boxes say {picture.width} x {picture.height} pixels, its codestream another size")
        picture.load()
        if self.deep:
            return gray_to_rgb(stretched(np.asarray(picture)))
        return gray_to_rgb(np.asarray(picture.getchannel(0))) if picture.mode in ("L", "LA") else colours_of(picture)


def read(data: bytes) -> Jpeg2000:
    """Read the headers of the codestream. Raises ValueError if a tile has no data: OpenJPEG leaves it black."""
    stream = codestream.read(data)
    depth = max(stream.bits, default=0)
    if not 1 <= stream.components <= 4 or len(stream.bits) != 1 or depth > 16 or (stream.components == 2 and depth > 8):
        depths = " and ".join(map(str, sorted(stream.bits)))
        raise unsupported(f"a JPEG 2000 of {stream.components} components of {depths} bits")
    if stream.found < stream.tiles:
        raise ValueError(f"it has {stream.found} of its {stream.tiles} tiles")
    stream.check_blocks()
    return Jpeg2000(data, stream.hw, stream.components == 1 and depth > 8)
