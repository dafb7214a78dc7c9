"""functions/grounding-dino: words become boxes, masks, polygons and tags."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.config import labels as labelling
from promptable.config.labels import Label, LabelError, LabelType, Mark
from promptable.config.settings import DetectorSettings, OnFailure, SettingsError, read
from promptable.errors import BadRequestError, OutOfMemoryError
from promptable.models.detection.detector import Detector
from promptable.models.detection.proposals import Proposals
from promptable.models.detection.selection import Detections, LabelRule, Suppression, select
from promptable.models.detection.tiling import Tiling, enlarged, look
from promptable.serving.detector.items import ItemRules
from promptable.serving.detector.masks import BoxMask, Masker
from promptable.serving.detector.models import MASKED, Models, load_models
from promptable.serving.fallback import first_that_fits
from promptable.serving.feature_cache import FeatureCache
from promptable.wire import detector as wire
from promptable.wire.images import EncodedImage

_REDUCED = 0.5


def load_function(logger: Any) -> "DetectorFunction":
    """The function as the environment's settings and the deployed labels describe it; ``logger`` is nuclio-sdk's."""
    settings = read(DetectorSettings)
    labels = labelling.deployed(settings.function_config)
    return DetectorFunction(load_models(settings, labels), labels, settings, logger)


@dataclass(frozen=True)
class ScoredPicture:
    """What the model says of one picture of height and width ``hw``, before any threshold."""

    hw: tuple[int, int]
    proposals: Proposals

    @property
    def nbytes(self) -> int:
        """Memory that the proposals hold, in bytes."""
        return self.proposals.nbytes


class DetectorFunction:
    """Answers detector requests."""

    def __init__(self, models: Models, labels: Sequence[Label], settings: DetectorSettings, logger: Any) -> None:
        self._models = models
        self._labels = labels
        self._settings = settings
        self._logger = logger
        self._prompts = tuple(prompt for label in labels for prompt in label.prompts)
        self._label_of_prompt = [number for number, label in enumerate(labels) for _ in label.prompts]
        self._item_rules = ItemRules(labels, settings.review_threshold)
        self._failed = _failure_tag(self._item_rules, settings.on_failure)
        _check_prompts(models.detector, labels)
        models.detector.prepare(self._prompts)
        half = settings.feature_cache_mb * 2**20 // 2
        self._scored: FeatureCache[ScoredPicture] = FeatureCache(half)
        self._masker = Masker(models, settings, half, logger)

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
        scored = self._score(request.image)
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
        """Only what the full look finds is kept: with memory again, the picture is worth another one."""
        return first_that_fits(
            [("full look", lambda: self._full_look(image)), *self._lesser_looks(image)], self._logger
        )

    def _full_look(self, image: EncodedImage) -> ScoredPicture:
        settings = self._settings
        tiling = Tiling(settings.tile_size, settings.tile_overlap, settings.tile_whole)
        return self._scored.get(image.digest, lambda: self._look(self._models, image, tiling))

    def _lesser_looks(self, image: EncodedImage) -> Iterator[tuple[str, Callable[[], ScoredPicture]]]:
        """Ways to look at a picture that take less and less memory."""
        models, whole = self._models, Tiling()
        if self._settings.tile_size:
            yield "whole picture", lambda: self._look(models, image, whole)
        yield "lower resolution", lambda: self._look(models, image, whole, _REDUCED)
        if (elsewhere := models.elsewhere) is not None:
            yield "CPU", lambda: self._look(elsewhere(), image, whole)

    def _look(self, models: Models, image: EncodedImage, tiling: Tiling, scale: float = 1.0) -> ScoredPicture:
        pixels = image.decode(self._settings.max_megapixels)
        hw = pixels.shape[:2]
        fitting = enlarged(hw, tiling, self._settings.max_tiles)
        if fitting != tiling:
            self._logger.warn_with("tiles enlarged", wanted=tiling.size, used=fitting.size, digest=image.digest)
        return ScoredPicture(hw, look(models.detector, pixels, self._prompts, fitting, scale))

    def _masks(self, image: EncodedImage, detections: Detections) -> dict[int, BoxMask]:
        """Masks of the detections that need one."""
        wanted = [i for i, number in enumerate(detections.labels) if self._labels[number].type in MASKED]
        masks = self._masker.masks(image, detections.boxes_xyxy[wanted]) if wanted else []
        return dict(zip(wanted, masks, strict=True))


def _check_prompts(detector: Detector, labels: Sequence[Label]) -> None:
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
