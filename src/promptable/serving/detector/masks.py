"""From the boxes of a picture to masks; the picture is encoded once for all its boxes."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from promptable.config.settings import DetectorSettings
from promptable.errors import BadRequestError
from promptable.models.runtime.out_of_memory import first_that_fits
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction
from promptable.serving.cleaning import cleaning
from promptable.serving.detector.models import Models
from promptable.serving.detector.picture import RequestPicture
from promptable.serving.encode import encode_pixels
from promptable.serving.feature_cache import FeatureCache
from promptable.wire.clean import within_box
from promptable.wire.masks import MaskCrop, crop_to_polygon

_log = logging.getLogger(__name__)

_TOGETHER = 32
"""The most boxes that are decoded together: the decoder holds the picture's features for each."""


@dataclass(frozen=True)
class BoxMask:
    """The mask of one box: its pixels, and its outline, flat x, y of at least 3 points in picture pixels.

    ``score`` is the model's own estimate of the mask's IoU. ``filled`` is whether the mask is only the filled box,
    because the model gave no mask.
    """

    crop: MaskCrop
    polygon: Sequence[float]
    score: float
    filled: bool = False


class Masker:
    """Segments the objects in boxes."""

    def __init__(self, models: Models, settings: DetectorSettings, capacity_bytes: int) -> None:
        """``capacity_bytes`` is the size of the cache of image features."""
        self._models = models
        self._settings = settings
        self._cleaning = cleaning(settings)
        self._features: FeatureCache[ImageFeatures] = FeatureCache(capacity_bytes)

    def masks(self, picture: RequestPicture, boxes_xyxy: NDArray[np.float32]) -> list[BoxMask]:
        """A mask for each box, float32 [N, 4] inside the picture. Raises OutOfMemoryError, FloatingPointError.

        No box is lost: if the model's mask is empty, or the model cannot take the picture, the mask is the filled box.
        """
        try:
            found = first_that_fits(self._attempts(picture, boxes_xyxy))
        except BadRequestError as error:
            _log.warning("no masks on picture %s, boxes answered filled: %s", picture.digest, error)
            return [_filled(box) for box in boxes_xyxy]
        if empty := sum(mask.filled for mask in found):
            _log.warning("%d empty masks on picture %s, their boxes answered filled", empty, picture.digest)
        return found

    def _attempts(
        self, picture: RequestPicture, boxes: NDArray[np.float32]
    ) -> Iterator[tuple[str, Callable[[], list[BoxMask]]]]:
        """Ways to compute the masks, each with less memory than the one before."""
        models = self._models
        yield "masks in batches", lambda: self._segment(models, picture, boxes, _TOGETHER)
        yield "masks one by one", lambda: self._segment(models, picture, boxes, 1)
        if (fallback := models.fallback) is not None:
            yield "masks on the CPU", lambda: self._segment(fallback(), picture, boxes, 1)

    def _segment(
        self, models: Models, picture: RequestPicture, boxes: NDArray[np.float32], together: int
    ) -> list[BoxMask]:
        """The masks of all boxes, decoded ``together`` at a time."""
        name = picture.digest if models is self._models else f"{picture.digest} fallback"
        with self._features.only_finite(name):
            segmenter = models.segmenter()
            features = self._features.get(name, lambda: encode_pixels(segmenter, picture.on(models.device)))
            parts = [boxes[start : start + together] for start in range(0, len(boxes), together)]
            return [
                self._box_mask(box, prediction)
                for part in parts
                for box, prediction in zip(part, segmenter.predict_boxes(features, part), strict=True)
            ]

    def _box_mask(self, box: NDArray[np.float32], prediction: Prediction) -> BoxMask:
        inside = within_box(prediction.mask, box)
        cleaned = self._cleaning.apply(inside.pixels)
        if not cleaned.any():
            return _filled(box)
        crop = replace(inside, pixels=cleaned).tight()
        return BoxMask(crop, crop_to_polygon(crop, self._settings.polygon_tolerance), prediction.score)


def _filled(box: NDArray[np.float32]) -> BoxMask:
    """The mask of all pixels that a box touches."""
    left, top = np.floor(box[:2]).astype(int).tolist()
    right, bottom = np.ceil(box[2:]).astype(int).tolist()
    crop = MaskCrop(np.ones((bottom - top, right - left), np.bool_), left, top)
    return BoxMask(crop, [left, top, right, top, right, bottom, left, bottom], 0.0, filled=True)
