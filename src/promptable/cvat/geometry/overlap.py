"""IoU of what CVAT holds, whatever forms the two have."""

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.outlines import filled, polygon_iou
from promptable.cvat.geometry.position import MASK, RECTANGLE, Position


def iou(one: Position, other: Position) -> float:
    """Of upright rectangles exactly, of outlines on a fine grid, with a mask on the picture's pixels.

    Of a mask that cannot be read, which CVAT's server stores all the same, the box counts.
    """
    boxes = float(box_iou(one.box, other.box))
    if not boxes or all(position.form == RECTANGLE and not position.rotation for position in (one, other)):
        return boxes
    if MASK not in (one.form, other.form):
        return polygon_iou(one.outline, other.outline)
    try:
        both_masks = one.form == other.form
        return run_lengths.iou(one.points, other.points) if both_masks else _pixel_iou(one, other)
    except ValueError:
        return boxes


def _pixel_iou(one: Position, other: Position) -> float:
    corners = np.stack([one.box, other.box])
    left, top = np.floor(corners[:, :2].min(0)).astype(int).tolist()
    right, bottom = np.ceil(corners[:, 2:].max(0)).astype(int).tolist()
    first, second = (_pixels(position, left, top, (bottom - top, right - left)) for position in (one, other))
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def _pixels(position: Position, left: int, top: int, hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a window of ``hw`` that begins at ``left`` and ``top`` and holds the position."""
    if position.form != MASK:
        return filled(position.outline - [left, top], hw)
    own, own_left, own_top = run_lengths.decode(position.points)
    pixels = np.zeros(hw, np.bool_)
    pixels[own_top - top :, own_left - left :][: own.shape[0], : own.shape[1]] = own
    return pixels
