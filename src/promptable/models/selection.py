"""From every box with its prompt scores to the few detections that a picture is answered with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms

from promptable.models.grounding_dino import PromptScores


@dataclass(frozen=True)
class Detections:
    """What was found in a picture, best first.

    ``boxes_xyxy`` float32 [N, 4] in continuous pixels, inside the picture and not empty; ``labels`` int64 [N] are
    indices; ``scores`` float32 [N] in 0..1.
    """

    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


def select(
    scores: PromptScores,
    label_of_prompt: Sequence[int],
    thresholds: Sequence[float],
    hw: tuple[int, int],
    nms_iou: float,
    limit: int,
) -> Detections:
    """Label each box by its best prompt and keep those that reach the threshold of that label.

    ``label_of_prompt`` [P] names the label of each column of scores, so that synonyms fall together; ``thresholds`` has
    one number per label. Boxes are clipped to the picture ``hw``; where boxes of one label overlap by an IoU over
    ``nms_iou`` the best remains. Boxes that are empty or not finite are dropped, and those beyond the ``limit`` best.
    """
    best = scores.scores.argmax(1)
    labels = np.asarray(label_of_prompt, np.int64)[best]
    confidence = scores.scores[np.arange(len(best)), best]
    boxes = _clipped(scores.boxes_xyxy, hw)
    kept = (
        np.isfinite(scores.boxes_xyxy).all(1)
        & _has_area(boxes)
        & (confidence >= np.asarray(thresholds, np.float32)[labels])
    )
    boxes, labels, confidence = boxes[kept], labels[kept], confidence[kept]
    order = _suppressed(boxes, labels, confidence, nms_iou)[:limit]
    return Detections(boxes[order], labels[order], confidence[order])


def _clipped(boxes_xyxy: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32]:
    height, width = hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))


def _has_area(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.all(boxes_xyxy[:, 2:] > boxes_xyxy[:, :2], axis=1))


def _suppressed(
    boxes: NDArray[np.float32], labels: NDArray[np.int64], confidence: NDArray[np.float32], nms_iou: float
) -> NDArray[np.int64]:
    """Indices of the boxes that class-wise non-maximum suppression leaves, best first."""
    tensors = [torch.from_numpy(array) for array in (boxes, confidence, labels)]
    return np.asarray(batched_nms(*tensors, nms_iou), np.int64)
