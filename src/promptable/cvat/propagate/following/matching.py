"""Matching detections with known objects one to one by box IoU, as SORT associates detections with tracks.

Bewley et al., Simple Online and Realtime Tracking, 2016. The least IoU is theirs.
"""

from collections.abc import Sequence

import numpy as np

from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.position import Placed

LEAST_IOU = 0.3


def matched(detections: Sequence[Placed], known: Sequence[Placed]) -> dict[int, int]:
    """The index of the known object that each detection shows, by the detection's index; without those that show none.

    Pairs have the same label and a box IoU of at least 0.3. The pairs are those with the greatest sum of IoUs.
    """
    if not detections or not known:
        return {}
    import lap  # only here, since it is compiled: everything else works without it

    iou = box_iou(_boxes(detections)[:, None], _boxes(known)[None])
    same = np.array([[one.label_id == other.label_id for other in known] for one in detections])
    cost = np.where(same & (iou >= LEAST_IOU), 1 - iou, 2.0)
    _, partners, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.0)
    return {index: int(partner) for index, partner in enumerate(partners) if partner >= 0}


def _boxes(placed: Sequence[Placed]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([one.position.box for one in placed])
