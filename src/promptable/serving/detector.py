"""functions/grounding-dino: words become boxes, masks, polygons and tags."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptable import labels as labelling
from promptable.labels import Label, LabelType
from promptable.models import device, grounding_dino, segmenters
from promptable.models.grounding_dino import GroundingDINO, PromptScores
from promptable.models.segmenter import ImageFeatures, Segmenter
from promptable.models.selection import Detections, select
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.settings import DetectorSettings, read
from promptable.wire import detector as wire
from promptable.wire.images import EncodedImage
from promptable.wire.masks import mask_to_polygon

_MASKED = (LabelType.MASK, LabelType.POLYGON)


def load_detector() -> "Detector":
    """The function as the environment's settings and the deployed labels describe it."""
    settings = read(DetectorSettings)
    labels = labelling.deployed(settings.function_config)
    where = device.resolve(settings.device)
    model = grounding_dino.load(settings.model, settings.weights_dir, where)
    needs_masks = any(label.type in _MASKED for label in labels)
    segmenter = segmenters.load(settings.mask_model, settings.weights_dir, where) if needs_masks else None
    return Detector(model, segmenter, labels, settings)


@dataclass(frozen=True)
class ScoredPicture:
    """What the model says of one picture of height and width ``hw``, before any threshold."""

    hw: tuple[int, int]
    scores: PromptScores

    @property
    def nbytes(self) -> int:
        """Memory that the scores hold, in bytes."""
        arrays = (self.scores.boxes_xyxy, self.scores.scores)
        return sum(array.nbytes for array in arrays)


class Detector:
    """Answers detector requests. ``segmenter`` is needed only where a label's type is mask or polygon."""

    def __init__(
        self, model: GroundingDINO, segmenter: Segmenter | None, labels: Sequence[Label], settings: DetectorSettings
    ) -> None:
        self._model = model
        self._segmenter = segmenter
        self._labels = labels
        self._settings = settings
        self._prompts = [prompt for label in labels for prompt in label.prompts]
        self._label_of_prompt = [number for number, label in enumerate(labels) for _ in label.prompts]
        model.prepare(self._prompts)
        half = settings.feature_cache_mb * 2**20 // 2
        self._scored: FeatureCache[ScoredPicture] = FeatureCache(half)
        self._features: FeatureCache[ImageFeatures] = FeatureCache(half)

    def __call__(self, body: object) -> str:
        """Request body -> answer JSON. Raises BadRequestError."""
        request = wire.parse(body)
        scored = self._scored.get(request.image.digest, lambda: self._score(request.image))
        detections = select(
            scored.scores,
            self._label_of_prompt,
            self._thresholds(request.threshold),
            scored.hw,
            self._settings.nms_iou,
            self._settings.max_detections,
        )
        return wire.encode(self._items(request.image, detections))

    def _score(self, image: EncodedImage) -> ScoredPicture:
        pixels = image.decode(self._settings.max_megapixels)
        return ScoredPicture(pixels.shape[:2], self._model.detect(pixels, self._prompts))

    def _thresholds(self, requested: float | None) -> list[float]:
        """Each label's threshold: the request's, else the label's own, else the function's default."""
        if requested is not None:
            return [requested] * len(self._labels)
        default = self._settings.threshold
        return [default if label.threshold is None else label.threshold for label in self._labels]

    def _items(self, image: EncodedImage, detections: Detections) -> list[wire.Item]:
        """Answer items, strongest first; the tags of the frame come last, each once."""
        types = [self._labels[number].type for number in detections.labels]
        masks = self._masks(image, detections, [i for i, kind in enumerate(types) if kind in _MASKED])
        shapes = [self._shape(detections, i, masks.get(i)) for i, kind in enumerate(types) if kind is not LabelType.TAG]
        tagged = {detections.labels[i]: i for i, kind in reversed(list(enumerate(types))) if kind is LabelType.TAG}
        tags = [wire.Tag(self._labels[number].name, float(detections.scores[i])) for number, i in tagged.items()]
        return [*(shape for shape in shapes if shape is not None), *tags]

    def _masks(
        self, image: EncodedImage, detections: Detections, wanted: Sequence[int]
    ) -> dict[int, NDArray[np.bool_]]:
        """Masks bool [H, W] of the wanted detections, all from one image encoding and one decoding."""
        if not wanted or self._segmenter is None:
            return {}
        segmenter = self._segmenter
        features = self._features.get(
            image.digest, lambda: segmenter.encode_image(image.decode(self._settings.max_megapixels))
        )
        predictions = segmenter.predict_boxes(features, detections.boxes_xyxy[list(wanted)])
        return {i: prediction.mask for i, prediction in zip(wanted, predictions, strict=True)}

    def _shape(self, detections: Detections, i: int, mask: NDArray[np.bool_] | None) -> wire.Item | None:
        """The i-th detection in its label's type; None where its mask came out empty."""
        label = self._labels[detections.labels[i]]
        confidence = float(detections.scores[i])
        attributes = {"confidence": str(round(100 * confidence))}
        if mask is None:
            return wire.Rectangle(label.name, detections.boxes_xyxy[i], confidence, attributes)
        if not mask.any():
            return None
        polygon = mask_to_polygon(mask, self._settings.polygon_tolerance)
        if label.type is LabelType.POLYGON:
            return wire.Polygon(label.name, polygon, confidence, attributes)
        return wire.MaskShape(label.name, mask, confidence, polygon, attributes)
