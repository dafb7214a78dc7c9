"""Which detection shows which known object: box IoU, one to one, as SORT associates detections with tracks.

Bewley et al., Simple Online and Realtime Tracking (2016), whose least IoU this is.
"""

from collections.abc import Sequence

import numpy as np

from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.position import Placed

LEAST_IOU = 0.3


def matched(detections: Sequence[Placed], known: Sequence[Placed]) -> dict[int, int]:
    """Indices of known objects by those of the detections that show them, so that the boxes overlap the most in all.

    Both of a pair have one label, and boxes of an IoU of 0.3 or more.
    """
    if not detections or not known:
        return {}
    import lap  # the one user of a compiled package: the rest works without

    iou = box_iou(_boxes(detections)[:, None], _boxes(known)[None])
    same = np.array([[one.label_id == other.label_id for other in known] for one in detections])
    cost = np.where(same & (iou >= LEAST_IOU), 1 - iou, 2.0)
    _, partners, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.0)
    return {index: int(partner) for index, partner in enumerate(partners) if partner >= 0}


def _boxes(placed: Sequence[Placed]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([one.position.box for one in placed])
