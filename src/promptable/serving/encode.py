"""From the picture of a request to a model's image features."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from promptable.errors import BadRequestError
from promptable.models.runtime.out_of_memory import naming_out_of_memory
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import PictureError
from promptable.wire.images import EncodedImage


class ImageEncoder(Protocol):
    """A model that encodes pictures: a segmenter or a video tracker."""

    def encode_image(self, image: NDArray[np.uint8]) -> ImageFeatures: ...


def encode(model: ImageEncoder, image: EncodedImage, max_megapixels: float) -> ImageFeatures:
    """Decode the picture and encode it.

    Raises BadRequestError for a picture that is damaged, too large or not supported by the model; OutOfMemoryError.
    """
    pixels = image.decode(max_megapixels)
    try:
        with naming_out_of_memory():
            return model.encode_image(pixels)
    except PictureError as error:
        raise BadRequestError(f"image: {error}") from error
