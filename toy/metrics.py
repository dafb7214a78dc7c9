"""How well answers agree with the truth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = NDArray[np.float32]


def mask_iou(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks [H, W]; 1 when both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes xyxy [4]."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - shared)


def match(
    found: Sequence[tuple[str, Box]], truth: Sequence[tuple[str, Box]], iou: float = 0.5
) -> list[tuple[int, int]]:
    """Pairs (found, truth) of the same label that overlap by at least ``iou``; ``found`` comes strongest first.

    Each found box takes the best truth that is still free, as in the COCO evaluation.
    """
    pairs: list[tuple[int, int]] = []
    for i, (label, box) in enumerate(found):
        taken = {j for _, j in pairs}
        free = [j for j, (other, _) in enumerate(truth) if other == label and j not in taken]
        best = max(free, key=lambda j: box_iou(box, truth[j][1]), default=None)
        if best is not None and box_iou(box, truth[best][1]) >= iou:
            pairs.append((i, best))
    return pairs


def mean(values: Sequence[float]) -> float:
    """The mean; 0 of nothing, which is what an empty answer deserves."""
    return sum(values) / len(values) if values else 0.0


def f1(matched: int, found: int, true: int) -> float:
    """Harmonic mean of precision and recall, from counts."""
    return 2 * matched / (found + true) if found + true else 1.0
