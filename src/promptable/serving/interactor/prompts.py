"""From CVAT's clicks and boxes to one prompt per object."""

import numpy as np
from numpy.typing import NDArray

from promptable.models.segmentation.segmenter import Prompt
from promptable.wire.interactor import InteractorRequest


def prompts_of(request: InteractorRequest) -> list[Prompt]:
    """One prompt for each box, with the points that are inside it or nearest to it; without boxes, one of all points.

    The list is empty if there are only negative points, which do not point at an object.
    """
    points = np.concatenate([request.positive_xy, request.negative_xy])
    labels = np.repeat([1, 0], [len(request.positive_xy), len(request.negative_xy)]).astype(np.int32)
    if not len(request.boxes_xyxy):
        return [Prompt(points, labels)] if len(request.positive_xy) else []
    owner = _nearest_box(points, request.boxes_xyxy)
    return [Prompt(points[owner == i], labels[owner == i], box) for i, box in enumerate(request.boxes_xyxy)]


def _nearest_box(points_xy: NDArray[np.float32], boxes_xyxy: NDArray[np.float32]) -> NDArray[np.intp]:
    """For each point [N, 2], the index of the box [K, 4] that contains it or is nearest; of several, the smallest."""
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    outside = np.maximum(low - points_xy[:, None], 0) + np.maximum(points_xy[:, None] - high, 0)
    distances = np.linalg.norm(outside, axis=2)
    is_nearest = distances == distances.min(1, keepdims=True)
    nearest: NDArray[np.intp] = np.where(is_nearest, (high - low).prod(1), np.inf).argmin(1)
    return nearest
