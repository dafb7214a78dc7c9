"""The IoU of two positions of any form."""

import numpy as np

from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.outlines import filled, polygon_iou
from promptable.cvat.geometry.position import MASK, RECTANGLE, Position


def iou(one: Position, other: Position) -> float:
    """The IoU of two positions, in [0, 1].

    It is exact for two upright rectangles, counted on a fine grid for other outlines, and counted in the picture's
    pixels if one is a mask. For a broken mask, or a shape larger than any picture, it is the IoU of the boxes.
    """
    boxes = float(box_iou(one.box, other.box))
    if not boxes or all(position.form == RECTANGLE and not position.rotation for position in (one, other)):
        return boxes
    if MASK not in (one.form, other.form):
        return polygon_iou(one.outline, other.outline)
    try:
        return run_lengths.iou(_run_lengths(one), _run_lengths(other))
    except ValueError:
        return boxes


def _run_lengths(position: Position) -> tuple[float, ...]:
    """A position as CVAT's run lengths of the pixels whose centres lie inside; empty if there are none.

    Raises ValueError for a shape larger than any picture.
    """
    if position.form == MASK:
        return position.points
    left, top, right, bottom = position.box
    first_x, first_y = int(np.floor(left)), int(np.floor(top))
    hw = (int(np.ceil(bottom)) - first_y, int(np.ceil(right)) - first_x)
    run_lengths.check_size(hw)
    return run_lengths.encode(filled(position.outline - [first_x, first_y], hw), first_x, first_y)
