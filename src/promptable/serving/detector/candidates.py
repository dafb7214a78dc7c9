"""The answer to a request with a ``floor``: all that a client needs to compute answers at thresholds >= the floor."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from promptable.config.labels import Label
from promptable.models.detection.proposals import Proposals, synonym_scores
from promptable.models.detection.selection import COMPARISONS, LabelRule, Suppression, possible_boxes
from promptable.serving.detector.label_set import LabelSet
from promptable.serving.detector.masks import BoxMask
from promptable.serving.detector.models import MASKED
from promptable.wire.candidates import CandidateLabel, CandidateMask, Candidates

_MOST = 1000
"""The most proposals in one answer: fewer than ``select`` compares, and few enough for a page to redraw at each move of
a slider."""


def candidates(
    proposals: Proposals,
    labels: LabelSet,
    rules: Sequence[LabelRule],
    hw: tuple[int, int],
    suppression: Suppression,
    floor: float,
    review_threshold: float,
    masks: Callable[[NDArray[np.float32]], Sequence[BoxMask]],
    model: str = "",
) -> Candidates:
    """The answer to a request with this ``floor``; ``rules`` are the label rules for a request without a floor.

    ``masks`` computes the masks of boxes, float32 [M, 4], that are inside the picture.
    """
    floor = max(floor, _floor_of_most(proposals.scores))
    kept = proposals[np.flatnonzero(proposals.scores >= np.float32(floor))]
    masked = [
        LabelRule(floor, rule.max_area, shape=label.type in MASKED)
        for rule, label in zip(rules, labels.labels, strict=True)
    ]
    boxes = possible_boxes(kept, labels.label_of_prompt, masked, hw, suppression.nms_iou)
    return Candidates(
        model=model,
        hw=hw,
        floor=floor,
        labels=[_described(label, rule) for label, rule in zip(labels.labels, rules, strict=True)],
        rules=vars(suppression) | COMPARISONS | {"review_threshold": review_threshold},
        boxes_xyxy=kept.boxes_xyxy,
        label_indices=np.asarray(labels.label_of_prompt, np.int64)[kept.prompt_indices],
        scores=kept.scores,
        captions=kept.captions,
        cut=kept.cut,
        beyond_overlap=kept.beyond_overlap,
        synonyms=synonym_scores(kept, labels.label_of_prompt),
        masks=[
            CandidateMask(box, mask.crop, mask.polygon, mask.score, mask.filled)
            for box, mask in zip(boxes, masks(boxes) if len(boxes) else [], strict=True)
        ],
    )


def _floor_of_most(scores: NDArray[np.float32]) -> float:
    """The lowest floor that at most ``_MOST`` proposals reach."""
    if len(scores) <= _MOST:
        return 0.0
    return float(np.nextafter(np.sort(scores)[-_MOST - 1], np.float32(2)))


def _described(label: Label, rule: LabelRule) -> CandidateLabel:
    marks = None if label.marks is None else str(label.marks)
    return CandidateLabel(label.name, str(label.type), rule.threshold, rule.max_area, marks)
