"""functions/grounding-dino: words become boxes, masks, polygons and tags."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.config import labels as labelling
from promptable.config.labels import Label, LabelType, Mark
from promptable.config.settings import DetectorSettings, OnFailure, SettingsError, read
from promptable.errors import BadRequestError, OutOfMemoryError
from promptable.models.detection.proposals import Proposals
from promptable.models.detection.selection import Detections, LabelRule, Suppression, select
from promptable.models.detection.tiling import Tiling, enlarged, propose
from promptable.models.runtime.out_of_memory import first_that_fits
from promptable.serving.detector.items import ItemRules
from promptable.serving.detector.masks import BoxMask, Masker
from promptable.serving.detector.models import MASKED, Models, load_models
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.logs import log_to
from promptable.wire import detector as wire
from promptable.wire.images import EncodedImage

_log = logging.getLogger(__name__)

_REDUCED = 0.5


def load_function(logger: Any) -> "DetectorFunction":
    """The function as the environment's settings and the deployed labels describe it; ``logger`` is nuclio-sdk's."""
    log_to(logger)
    settings = read(DetectorSettings)
    labels = labelling.deployed(settings.function_config)
    return DetectorFunction(load_models(settings, labels), labels, settings)


@dataclass(frozen=True)
class ScoredImage:
    """What the model says of one picture of height and width ``hw``, before any threshold."""

    hw: tuple[int, int]
    proposals: Proposals

    @property
    def nbytes(self) -> int:
        """Memory that the proposals hold, in bytes."""
        return self.proposals.nbytes


class DetectorFunction:
    """Answers detector requests."""

    def __init__(self, models: Models, labels: Sequence[Label], settings: DetectorSettings) -> None:
        self._models = models
        self._labels = labels
        self._settings = settings
        self._prompts = tuple(prompt for label in labels for prompt in label.prompts)
        self._label_of_prompt = [number for number, label in enumerate(labels) for _ in label.prompts]
        self._item_rules = ItemRules(labels, settings.review_threshold)
        self._failed = _failure_tag(self._item_rules, settings.on_failure)
        labelling.check_spelling(labels, models.detector.spell)
        models.detector.prepare(self._prompts)
        half = settings.feature_cache_mb * 2**20 // 2
        self._scored: FeatureCache[ScoredImage] = FeatureCache(half)
        self._masker = Masker(models, settings, half)

    def __call__(self, body: object) -> str:
        """Request body -> answer JSON. Raises BadRequestError; OutOfMemoryError for a picture that nothing can hold."""
        request = wire.parse(body)
        try:
            detections = self._detections(request)
            return wire.encode(self._item_rules.items(detections, self._masks(request.image, detections)))
        except (BadRequestError, OutOfMemoryError) as error:
            if self._failed is None:
                raise
            _log.error("picture %s failed: %s", request.image.digest, error)
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

    def _score(self, image: EncodedImage) -> ScoredImage:
        """Only what is found at full detail is kept: with memory again, the picture is worth another attempt."""
        return first_that_fits([("full detail", lambda: self._full_detail(image)), *self._less_detail(image)])

    def _full_detail(self, image: EncodedImage) -> ScoredImage:
        settings = self._settings
        tiling = Tiling(settings.tile_size, settings.tile_overlap, settings.tile_whole)
        return self._scored.get(image.digest, lambda: self._propose(self._models, image, tiling))

    def _less_detail(self, image: EncodedImage) -> Iterator[tuple[str, Callable[[], ScoredImage]]]:
        """Ways to detect that take less and less memory."""
        models, whole = self._models, Tiling()
        if self._settings.tile_size:
            yield "whole picture", lambda: self._propose(models, image, whole)
        yield "lower resolution", lambda: self._propose(models, image, whole, _REDUCED)
        if (fallback := models.fallback) is not None:
            yield "CPU", lambda: self._propose(fallback(), image, whole)

    def _propose(self, models: Models, image: EncodedImage, tiling: Tiling, scale: float = 1.0) -> ScoredImage:
        pixels = image.decode(self._settings.max_megapixels)
        hw = pixels.shape[:2]
        fitting = enlarged(hw, tiling, self._settings.max_tiles)
        if fitting != tiling:
            _log.warning("tiles of picture %s enlarged from %d to %d pixels", image.digest, tiling.size, fitting.size)
        return ScoredImage(hw, propose(models.detector, pixels, self._prompts, fitting, scale))

    def _masks(self, image: EncodedImage, detections: Detections) -> dict[int, BoxMask]:
        """Masks of the detections that need one."""
        wanted = [i for i, number in enumerate(detections.labels) if self._labels[number].type in MASKED]
        masks = self._masker.masks(image, detections.boxes_xyxy[wanted]) if wanted else []
        return dict(zip(wanted, masks, strict=True))


def _failure_tag(rules: ItemRules, on_failure: OnFailure) -> wire.Tag | None:
    """What a picture that cannot be answered is answered with; None for an error."""
    if on_failure is OnFailure.ERROR:
        return None
    name = rules.marking(Mark.FAILURE)
    if name is None:
        raise SettingsError("PROMPTABLE_ON_FAILURE: tag needs a label with 'marks: failure', and there is none")
    return wire.Tag(name, 1.0)
