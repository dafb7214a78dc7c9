"""From the picture of a request to a model's image features."""

from typing import Protocol

from promptable.errors import BadRequestError
from promptable.models.pixels.picture import Picture
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import PictureError
from promptable.wire.images.encoded import EncodedImage


class ImageEncoder(Protocol):
    """A model that encodes pictures: a segmenter or a video tracker."""

    def encode_image(self, image: Picture) -> ImageFeatures: ...


def encode(model: ImageEncoder, image: EncodedImage, max_megapixels: float) -> ImageFeatures:
    """Decode the picture and encode it.

    Raises BadRequestError for a picture that is damaged, too large or not supported by the model.
    """
    return encode_pixels(model, image.decode(max_megapixels))


def encode_pixels(model: ImageEncoder, pixels: Picture) -> ImageFeatures:
    """As ``encode``, of a decoded picture."""
    try:
        return model.encode_image(pixels)
    except PictureError as error:
        raise BadRequestError(f"image: {error}") from error
