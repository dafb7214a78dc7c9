"""From detections to the items of an answer, each of its label's type and with its confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptable.config.labels import CONFIDENCE, REVIEW, Label, LabelType, Mark, percent
from promptable.models.detection.selection import Detections
from promptable.serving.detector.masks import BoxMask
from promptable.wire.detector import Item, MaskShape, Polygon, Rectangle, Tag


@dataclass(frozen=True)
class ItemRules:
    """The rules for making items; detections with a score below ``review_threshold`` are marked for review."""

    labels: Sequence[Label]
    review_threshold: float

    def marking(self, mark: Mark) -> str | None:
        """The name of the label with ``marks: mark``, a tag that marks frames; None if there is none."""
        return next((label.name for label in self.labels if label.marks is mark), None)

    def items(self, detections: Detections, masks: Mapping[int, BoxMask]) -> list[Item]:
        """The items of the answer, highest score first; the tags of the frame come last, each once.

        ``masks`` maps indices of detections to their masks.
        """
        types = [self.labels[number].type for number in detections.labels]
        shapes = [self._shape(detections, i, masks.get(i)) for i, kind in enumerate(types) if kind is not LabelType.TAG]
        tagged = {detections.labels[i]: i for i, kind in reversed(list(enumerate(types))) if kind is LabelType.TAG}
        tags = [self._tag(detections, i) for i in tagged.values()]
        return self._marked([*shapes, *tags])

    def _marked(self, items: list[Item]) -> list[Item]:
        """The items, and a review tag if one of them is marked for review and a label has ``marks: review``."""
        name = self.marking(Mark.REVIEW)
        doubtful = [item.confidence for item in items if item.attributes[REVIEW] == "true"]
        return items if name is None or not doubtful else [*items, Tag(name, min(doubtful))]

    def _attributes(self, confidence: float, doubtful: bool = False) -> dict[str, str]:
        """The attributes ``confidence`` (percent) and ``review``."""
        review = "true" if doubtful or confidence < self.review_threshold else "false"
        return {CONFIDENCE: str(percent(confidence)), REVIEW: review}

    def _tag(self, detections: Detections, i: int) -> Tag:
        confidence = float(detections.scores[i])
        return Tag(self.labels[detections.labels[i]].name, confidence, self._attributes(confidence))

    def _shape(self, detections: Detections, i: int, mask: BoxMask | None) -> Item:
        """The i-th detection as a shape of its label's type; marked for review if its mask is only its box."""
        label = self.labels[detections.labels[i]]
        confidence = float(detections.scores[i])
        if mask is None:
            return Rectangle(label.name, detections.boxes_xyxy[i], confidence, self._attributes(confidence))
        attributes = self._attributes(confidence, doubtful=mask.filled)
        if label.type is LabelType.POLYGON:
            return Polygon(label.name, mask.polygon, confidence, attributes)
        return MaskShape(label.name, mask.crop, confidence, mask.polygon, attributes)
