"""The picture of a request, which detector and segmenter share."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from promptable.models.pixels.picture import Picture
from promptable.models.runtime.transfer import to_device
from promptable.wire.images.encoded import EncodedImage


class RequestPicture:
    """A picture that is decoded when it is first needed, and copied to a GPU when it is first needed there; each only
    once. For one thread."""

    def __init__(self, image: EncodedImage, max_megapixels: float) -> None:
        self.digest = image.digest
        self._image = image
        self._max_megapixels = max_megapixels
        self._there: dict[str, Picture] = {}

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 RGB [H, W, 3]. Raises BadRequestError and OutOfMemoryError as ``EncodedImage.decode``."""
        return self._image.decode(self._max_megapixels)

    def on(self, device: str) -> Picture:
        """``pixels`` for a model on this device. Raises the same errors."""
        if device == "cpu":
            return self.pixels
        if device not in self._there:
            (self._there[device],) = to_device(device, [self.pixels])
        return self._there[device]
