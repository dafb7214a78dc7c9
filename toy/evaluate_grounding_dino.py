"""How well a Grounding DINO finds the objects of held-out scenes, with all 32 labels prompted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_iou

from promptable.models.detection.proposals import best_prompts
from promptable.models.detection.selection import Detections, LabelRule, Suppression, select
from promptable.models.grounding_dino.detector import GroundingDINO
from toy.scenes import LABELS, Scene, scenes

HELD_OUT_SEED = 10_000_000
SUPPRESSION = Suppression(nms_iou=0.6, limit=100)


@dataclass(frozen=True)
class Figures:
    """Counts at IoU 0.5 with the right label, and the mean IoU of what was found.

    ``box_recall`` is the share of objects with a box of whatever label at IoU 0.5.
    """

    threshold: float
    found: int
    detections: int
    objects: int
    mean_iou: float
    box_recall: float

    @property
    def f1(self) -> float:
        return 2 * self.found / max(self.detections + self.objects, 1)


def evaluate(
    detector: GroundingDINO, thresholds: Sequence[float], count: int = 100, seed: int = HELD_OUT_SEED
) -> list[Figures]:
    drawn = list(scenes(seed, count))
    proposals = [best_prompts(detector.detect(one.image, LABELS)) for one in drawn]
    results = []
    for threshold in thresholds:
        rules = [LabelRule(threshold)] * len(LABELS)
        kept = [
            select(one, range(len(LABELS)), rules, truth.image.shape[:2], SUPPRESSION)
            for one, truth in zip(proposals, drawn, strict=True)
        ]
        results.append(_figures(threshold, kept, drawn))
    return results


def _figures(threshold: float, kept: list[Detections], drawn: list[Scene]) -> Figures:
    ious = np.concatenate([matched_ious(one, truth) for one, truth in zip(kept, drawn, strict=True)])
    recall = np.concatenate([_any_box(one, truth) for one, truth in zip(kept, drawn, strict=True)])
    right = ious[ious >= 0.5]
    mean_iou = float(right.mean()) if len(right) else 0.0
    return Figures(
        threshold, len(right), sum(len(one.scores) for one in kept), len(recall), mean_iou, float(recall.mean())
    )


def matched_ious(detections: Detections, truth: Scene) -> NDArray[np.float64]:
    """IoU of each pair in the best one-to-one assignment of detections to objects with the same label."""
    overlaps = _overlaps(detections, truth)
    wanted = np.array([LABELS.index(item.label) for item in truth.objects])
    overlaps = np.where(detections.labels[:, None] == wanted[None], overlaps, 0)
    matched = linear_sum_assignment((overlaps >= 0.5) + 0.01 * overlaps, maximize=True)
    return np.asarray(overlaps[matched])


def _any_box(detections: Detections, truth: Scene) -> NDArray[np.bool_]:
    return np.asarray(_overlaps(detections, truth).max(0, initial=0) >= 0.5)


def _overlaps(detections: Detections, truth: Scene) -> NDArray[np.float64]:
    boxes = torch.from_numpy(np.stack([item.xyxy for item in truth.objects]))
    return np.asarray(box_iou(torch.from_numpy(detections.boxes_xyxy), boxes), np.float64)
