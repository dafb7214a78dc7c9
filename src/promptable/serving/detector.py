"""functions/grounding-dino: words become boxes, masks, polygons and tags."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable import labels as labelling
from promptable.errors import BadRequestError, OutOfMemoryError
from promptable.labels import Label, LabelError, LabelType, Mark
from promptable.models.grounding_dino import GroundingDINO
from promptable.models.memory import naming_out_of_memory
from promptable.models.proposals import Proposals
from promptable.models.segmenter import ImageFeatures
from promptable.models.selection import Detections, LabelRule, Suppression, select
from promptable.models.tiling import Tiling, look
from promptable.serving.detector_items import ItemRules
from promptable.serving.detector_models import MASKED, Models, load_models
from promptable.serving.fallback import first_that_fits
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.settings import DetectorSettings, OnFailure, SettingsError, read
from promptable.wire import detector as wire
from promptable.wire.images import EncodedImage

_REDUCED = 0.5


def load_detector(logger: Any) -> "Detector":
    """The function as the environment's settings and the deployed labels describe it; ``logger`` is nuclio-sdk's."""
    settings = read(DetectorSettings)
    labels = labelling.deployed(settings.function_config)
    return Detector(load_models(settings, labels), labels, settings, logger)


@dataclass(frozen=True)
class ScoredPicture:
    """What the model says of one picture of height and width ``hw``, before any threshold."""

    hw: tuple[int, int]
    proposals: Proposals

    @property
    def nbytes(self) -> int:
        """Memory that the proposals hold, in bytes."""
        return self.proposals.nbytes


class Detector:
    """Answers detector requests."""

    def __init__(self, models: Models, labels: Sequence[Label], settings: DetectorSettings, logger: Any) -> None:
        self._models = models
        self._labels = labels
        self._settings = settings
        self._logger = logger
        self._prompts = tuple(prompt for label in labels for prompt in label.prompts)
        self._label_of_prompt = [number for number, label in enumerate(labels) for _ in label.prompts]
        self._item_rules = ItemRules(labels, settings.review_threshold, settings.polygon_tolerance)
        self._failed = _failure_tag(self._item_rules, settings.on_failure)
        _check_prompts(models.detector, labels)
        models.detector.prepare(self._prompts)
        half = settings.feature_cache_mb * 2**20 // 2
        self._scored: FeatureCache[ScoredPicture] = FeatureCache(half)
        self._features: FeatureCache[ImageFeatures] = FeatureCache(half)

    def __call__(self, body: object) -> str:
        """Request body -> answer JSON. Raises BadRequestError; OutOfMemoryError for a picture that nothing can hold."""
        request = wire.parse(body)
        try:
            detections = self._detections(request)
            return wire.encode(self._item_rules.items(detections, self._masks(request.image, detections)))
        except (BadRequestError, OutOfMemoryError) as error:
            if self._failed is None:
                raise
            self._logger.error_with("picture failed", reason=str(error), digest=request.image.digest)
            return wire.encode([self._failed])

    def _detections(self, request: wire.DetectorRequest) -> Detections:
        scored = self._scored.get(request.image.digest, lambda: self._score(request.image))
        settings = self._settings
        return select(
            scored.proposals,
            self._label_of_prompt,
            [self._rule(label, request.threshold) for label in self._labels],
            scored.hw,
            Suppression(settings.nms_iou, settings.cross_label_nms_iou, settings.max_detections),
        )

    def _rule(self, label: Label, requested: float | None) -> LabelRule:
        """The request's threshold, else the label's own, else the default. A tag may be about the whole picture."""
        thresholds = (requested, label.threshold, self._settings.threshold)
        threshold = next(threshold for threshold in thresholds if threshold is not None)
        if label.type is LabelType.TAG:
            return LabelRule(threshold, shape=False)
        return LabelRule(threshold, self._settings.max_box_area)

    def _score(self, image: EncodedImage) -> ScoredPicture:
        pixels = image.decode(self._settings.max_megapixels)
        proposals = first_that_fits(self._looks(pixels), self._logger)
        return ScoredPicture(pixels.shape[:2], proposals)

    def _looks(self, pixels: NDArray[np.uint8]) -> Iterator[tuple[str, Callable[[], Proposals]]]:
        """Ways to look at a picture, each taking less memory than the one before."""
        detector, settings = self._models.detector, self._settings
        tiling = Tiling(settings.tile_size, settings.tile_overlap, settings.tile_whole)
        whole = Tiling()
        if tiling.size:
            yield "tiles", lambda: look(detector, pixels, self._prompts, tiling)
        yield "whole picture", lambda: look(detector, pixels, self._prompts, whole)
        yield "lower resolution", lambda: look(detector, pixels, self._prompts, whole, _REDUCED)
        if (elsewhere := self._models.elsewhere) is not None:
            yield "CPU", lambda: look(elsewhere().detector, pixels, self._prompts, whole)

    def _masks(self, image: EncodedImage, detections: Detections) -> dict[int, NDArray[np.bool_]]:
        """Masks bool [H, W] of the detections that need one, all from one image encoding and one decoding."""
        wanted = [i for i, number in enumerate(detections.labels) if self._labels[number].type in MASKED]
        if not wanted:
            return {}
        boxes = detections.boxes_xyxy[wanted]
        masks = first_that_fits(self._segmentations(image, boxes), self._logger)
        return dict(zip(wanted, masks, strict=True))

    def _segmentations(
        self, image: EncodedImage, boxes: NDArray[np.float32]
    ) -> Iterator[tuple[str, Callable[[], list[NDArray[np.bool_]]]]]:
        """Ways to mask what is in boxes, each taking less memory than the one before."""
        models = self._models
        yield "masks at once", lambda: self._segment(models, image, boxes, len(boxes))
        yield "masks one by one", lambda: self._segment(models, image, boxes, 1)
        if (elsewhere := models.elsewhere) is not None:
            yield "masks on the CPU", lambda: self._segment(elsewhere(), image, boxes, 1)

    def _segment(
        self, models: Models, image: EncodedImage, boxes: NDArray[np.float32], together: int
    ) -> list[NDArray[np.bool_]]:
        """The masks of all boxes, decoded ``together`` at a time. Raises OutOfMemoryError."""
        segmenter = models.segmenter
        assert segmenter is not None  # noqa: S101 - it is loaded wherever a label needs it
        name = image.digest if models is self._models else f"{image.digest} elsewhere"
        with naming_out_of_memory():
            features = self._features.get(
                name, lambda: segmenter.encode_image(image.decode(self._settings.max_megapixels))
            )
            parts = [boxes[start : start + together] for start in range(0, len(boxes), together)]
            return [one.mask for part in parts for one in segmenter.predict_boxes(features, part)]


def _check_prompts(detector: GroundingDINO, labels: Sequence[Label]) -> None:
    """Raise LabelError for a prompt that the model cannot read."""
    for label in labels:
        try:
            detector.check(label.prompts)
        except ValueError as error:
            raise LabelError(f"label {label.name!r}: {error}") from None


def _failure_tag(rules: ItemRules, on_failure: OnFailure) -> wire.Tag | None:
    """What a picture that cannot be answered is answered with; None for an error."""
    if on_failure is OnFailure.ERROR:
        return None
    name = rules.marking(Mark.FAILURE)
    if name is None:
        raise SettingsError("PROMPTABLE_ON_FAILURE: tag needs a label with 'marks: failure', and there is none")
    return wire.Tag(name, 1.0)
