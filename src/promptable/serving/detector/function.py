"""The function grounding-dino: from words to boxes, masks, polygons and tags."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from promptable.config import labels as labelling
from promptable.config.environment import SettingsError, read
from promptable.config.labels import Label, LabelType, Mark
from promptable.config.settings import DetectorSettings, OnFailure
from promptable.errors import BadRequestError, OutOfMemoryError
from promptable.models.cores.threads import take_threads
from promptable.models.detection.proposals import Proposals
from promptable.models.detection.selection import Detections, LabelRule, Suppression, select
from promptable.models.detection.tiling import Tiling, enlarged, propose
from promptable.models.runtime.out_of_memory import first_that_fits, naming_out_of_memory
from promptable.serving.detector.candidates import candidates
from promptable.serving.detector.items import ItemRules
from promptable.serving.detector.label_set import LabelSet, RequestedLabels
from promptable.serving.detector.masks import BoxMask, Masker
from promptable.serving.detector.models import MASKED, Models, load_models
from promptable.serving.detector.picture import RequestPicture
from promptable.serving.feature_cache import FeatureCache
from promptable.serving.logs import log_to
from promptable.wire import detector as wire
from promptable.wire.candidates import encode

_log = logging.getLogger(__name__)

_REDUCED = 0.5


def load_function(logger: Any) -> "DetectorFunction":
    """Load the function with the settings of the environment and the deployed labels; ``logger`` is nuclio-sdk's."""
    log_to(logger)
    settings = read(DetectorSettings)
    labels = labelling.deployed(settings.function_config)
    return DetectorFunction(load_models(settings, labels), labels, settings)


@dataclass(frozen=True)
class ScoredImage:
    """The model's proposals for one picture of height and width ``hw``, before any threshold."""

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
        self._settings = settings
        self._threshold = settings.threshold if isinstance(settings.threshold, float) else models.threshold
        self._deployed = LabelSet(tuple(labels))
        self._deployed.check(models)
        self._suppression = Suppression(settings.nms_iou, settings.cross_label_nms_iou, settings.max_detections)
        self._failed = _failure_tag(ItemRules(labels, settings.review_threshold), settings.on_failure)
        self._requested = RequestedLabels(models)
        if self._deployed.prompts:
            models.detector.prepare(self._deployed.prompts)
        half = settings.feature_cache_mb * 2**20 // 2
        self._scored: FeatureCache[ScoredImage] = FeatureCache(half)
        self._masker = Masker(models, settings, half)

    def __call__(self, body: object) -> str:
        """From the request body to the answer as JSON text.

        Raises BadRequestError, and OutOfMemoryError if the picture needs too much memory even with less detail.
        """
        take_threads()
        request = wire.parse(body)
        labels = self._labels(request)
        try:
            return self._answer(request, labels)
        except (BadRequestError, OutOfMemoryError) as error:
            if self._failed is None or labels is not self._deployed or request.floor is not None:
                raise
            _log.error("picture %s failed: %s", request.image.digest, error)
            return wire.encode([self._failed])

    @naming_out_of_memory()
    def _labels(self, request: wire.DetectorRequest) -> LabelSet:
        if request.labels is not None:
            return self._requested.get(request.labels)
        if not self._deployed.labels:
            raise BadRequestError("labels: expected a list, since none are deployed here, got nothing")
        return self._deployed

    @naming_out_of_memory()
    def _answer(self, request: wire.DetectorRequest, labels: LabelSet) -> str:
        picture = RequestPicture(request.image, self._settings.max_megapixels)
        scored = self._score(picture, labels)
        rules = [self._rule(label, request.threshold) for label in labels.labels]
        if request.floor is not None:
            return self._candidates(request.floor, picture, scored, labels, rules)
        detections = select(scored.proposals, labels.label_of_prompt, rules, scored.hw, self._suppression)
        items = ItemRules(labels.labels, self._settings.review_threshold)
        return wire.encode(items.items(detections, self._masks(picture, labels, detections)))

    def _candidates(
        self, floor: float, picture: RequestPicture, scored: ScoredImage, labels: LabelSet, rules: Sequence[LabelRule]
    ) -> str:
        found = candidates(
            scored.proposals,
            labels,
            rules,
            scored.hw,
            self._suppression,
            floor,
            review_threshold=self._settings.review_threshold,
            masks=partial(self._masker.masks, picture),
            model=self._models.name,
        )
        return encode(found)

    def _rule(self, label: Label, requested: float | None) -> LabelRule:
        """The rule with the request's threshold, else the label's own, else the default.

        Tags have no limit of the box's area, since a tag may describe the whole picture.
        """
        thresholds = (requested, label.threshold, self._threshold)
        threshold = next(threshold for threshold in thresholds if threshold is not None)
        if label.type is LabelType.TAG:
            return LabelRule(threshold, shape=False)
        return LabelRule(threshold, self._settings.max_box_area)

    def _score(self, picture: RequestPicture, labels: LabelSet) -> ScoredImage:
        """The proposals for a picture, with less detail if memory runs out.

        Only results at full detail are cached: a later request, with more free memory, may find more.
        """
        full = "full detail", lambda: self._full_detail(picture, labels)
        return first_that_fits([full, *self._less_detail(picture, labels)])

    def _full_detail(self, picture: RequestPicture, labels: LabelSet) -> ScoredImage:
        settings = self._settings
        tiling = Tiling(settings.tile_size, settings.tile_overlap, settings.tile_whole)
        name = f"{picture.digest} {labels.key}"
        return self._scored.get(name, lambda: self._propose(self._models, picture, labels, tiling))

    def _less_detail(
        self, picture: RequestPicture, labels: LabelSet
    ) -> Iterator[tuple[str, Callable[[], ScoredImage]]]:
        """Ways to detect with less and less memory."""
        models, whole = self._models, Tiling()
        if self._settings.tile_size:
            yield "whole picture", lambda: self._propose(models, picture, labels, whole)
        yield "lower resolution", lambda: self._propose(models, picture, labels, whole, _REDUCED)
        if (fallback := models.fallback) is not None:
            yield "CPU", lambda: self._propose(fallback(), picture, labels, whole)

    def _propose(
        self, models: Models, picture: RequestPicture, labels: LabelSet, tiling: Tiling, scale: float = 1.0
    ) -> ScoredImage:
        hw = picture.pixels.shape[:2]
        fitting = enlarged(hw, tiling, self._settings.max_tiles)
        if fitting != tiling:
            _log.warning("tiles of picture %s enlarged from %d to %d pixels", picture.digest, tiling.size, fitting.size)
        return ScoredImage(hw, propose(models.detector, picture.on(models.device), labels.prompts, fitting, scale))

    def _masks(self, picture: RequestPicture, labels: LabelSet, detections: Detections) -> dict[int, BoxMask]:
        """Masks of the detections that need one."""
        wanted = [i for i, number in enumerate(detections.labels) if labels.labels[number].type in MASKED]
        masks = self._masker.masks(picture, detections.boxes_xyxy[wanted]) if wanted else []
        return dict(zip(wanted, masks, strict=True))


def _failure_tag(rules: ItemRules, on_failure: OnFailure) -> wire.Tag | None:
    """The tag that is the answer for a picture that failed; None if the answer is an error instead."""
    if on_failure is OnFailure.ERROR:
        return None
    name = rules.marking(Mark.FAILURE)
    if name is None:
        raise SettingsError("PROMPTABLE_ON_FAILURE: tag needs a label with 'marks: failure', and there is none")
    return wire.Tag(name, 1.0)
