"""From every box with its prompt scores to the few detections that a picture is answered with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms, box_iou, nms

from promptable.models.detection.proposals import Proposals
from promptable.models.detection.tiling import are_parts, join_pieces

_SAME_OBJECT = 0.8
"""Boxes of different captions that overlap by more are one object: only within a caption do prompts compete."""

_MOST_CANDIDATES = 4000
"""More are not compared with one another, only the strongest: at a threshold near 0, tiles make a hundred thousand."""


@dataclass(frozen=True)
class Detections:
    """What was found in a picture, best first.

    ``boxes_xyxy`` float32 [N, 4] in continuous pixels, inside the picture and not empty; ``labels`` int64 [N] are
    indices; ``scores`` float32 [N] in 0..1.
    """

    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class LabelRule:
    """A box gets a label with a score of at least ``threshold`` and at most the share ``max_area`` of the picture.

    ``shape`` is whether the box is answered; otherwise it says only that the label is on the picture, as a tag does.
    """

    threshold: float
    max_area: float = 1.0
    shape: bool = True


@dataclass(frozen=True)
class Suppression:
    """What goes where boxes overlap, and how many remain.

    Of boxes that overlap by an IoU over ``nms_iou`` within a label, over ``cross_label_iou`` whatever their labels (1
    keeps them all), the best stays; of the shapes that are left, the ``limit`` best.
    """

    nms_iou: float = 0.6
    cross_label_iou: float = 1.0
    limit: int = 300


def select(
    proposals: Proposals,
    label_of_prompt: Sequence[int],
    rules: Sequence[LabelRule],
    hw: tuple[int, int],
    suppression: Suppression,
) -> Detections:
    """Label each box by its best prompt and keep what the rule of that label accepts.

    ``label_of_prompt`` [P] names the label of each prompt, so that synonyms fall together; there is one rule per label.
    Boxes are clipped to the picture ``hw``, pieces from tiles joined, parts of larger things and overlaps suppressed.
    Boxes that are empty are dropped.
    """
    labels = np.asarray(label_of_prompt, np.int64)[proposals.prompts]
    accepted = np.flatnonzero(_accepted(proposals, labels, rules, hw))
    strongest = np.argsort(-proposals.scores[accepted], kind="stable")
    accepted = accepted[strongest[: max(_MOST_CANDIDATES, suppression.limit)]]
    joined, labels = join_pieces(proposals[accepted], labels[accepted])
    boxes = _clipped(joined.boxes_xyxy, hw)
    shapes = np.array([rule.shape for rule in rules])[labels]
    fits = _area(boxes) <= _of_labels([rule.max_area for rule in rules], labels) * hw[0] * hw[1]
    kept = np.flatnonzero(fits & ~are_parts(boxes, joined.beyond_overlap, fits & shapes))
    order = kept[_suppressed(boxes[kept], labels[kept], joined[kept], suppression)]
    order = order[~shapes[order] | (shapes[order].cumsum() <= suppression.limit)]
    return Detections(boxes[order], labels[order], joined.scores[order])


def _accepted(
    proposals: Proposals, labels: NDArray[np.int64], rules: Sequence[LabelRule], hw: tuple[int, int]
) -> NDArray[np.bool_]:
    """Which proposals are boxes, lie in the picture and reach their label's threshold."""
    reached = proposals.scores >= _of_labels([rule.threshold for rule in rules], labels)
    return np.asarray(reached & (_area(_clipped(proposals.boxes_xyxy, hw)) > 0))


def _of_labels(values: Sequence[float], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)[labels]


def _clipped(boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32]:
    height, width = hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))


def _area(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Areas float32 [N]; 0 for a box whose corners are swapped."""
    return np.asarray(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0).prod(1))


def _suppressed(
    boxes: NDArray[np.float32], labels: NDArray[np.int64], found: Proposals, suppression: Suppression
) -> NDArray[np.int64]:
    """Indices of the boxes that remain, best first."""
    xyxy, scores = torch.from_numpy(boxes), torch.from_numpy(found.scores)
    kept = batched_nms(xyxy, scores, torch.from_numpy(labels), suppression.nms_iou)
    kept = kept[_best_captions(xyxy[kept], torch.from_numpy(found.captions)[kept])]
    if suppression.cross_label_iou < 1:
        kept = kept[nms(xyxy[kept], scores[kept], suppression.cross_label_iou)]
    return np.asarray(kept, np.int64)


def _best_captions(xyxy: torch.Tensor, captions: torch.Tensor) -> torch.Tensor:
    """Which boxes, given best first, are the first of their object or of the same caption as the first; bool [N]."""
    rivals = (box_iou(xyxy, xyxy) > _SAME_OBJECT) & (captions[:, None] != captions[None])
    kept = torch.ones(len(xyxy), dtype=torch.bool)
    for i in rivals.any(1).nonzero()[:, 0].tolist():
        kept[i] = not (rivals[i, :i] & kept[:i]).any()
    return kept
