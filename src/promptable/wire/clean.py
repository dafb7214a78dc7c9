"""Cleaning a mask: filling small holes, removing small parts (specks), smoothing edges. The default changes nothing.

Pixels that touch at a side or a corner belong to one part, as in ``masks.mask_to_polygon``; areas are in pixels.
"""

from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from promptable.wire.masks import Mask, MaskCrop, mask_to_xyxy

BOX_MARGIN = 0.1
"""The share of its sides by which a box is enlarged: mask pixels outside of that do not belong to the object."""

_SMOOTHED_MARGIN = 4  # in deviations: pixels further from an edge do not move it


@dataclass(frozen=True)
class Cleaning:
    """How to clean a mask, in this order.

    Edges are smoothed by a Gaussian of deviation ``smooth_edges`` pixels. Parts of up to ``remove_specks`` pixels are
    removed, but never the largest part; ``largest_part_only`` removes all other parts. Holes of up to ``fill_holes``
    pixels are filled.
    """

    fill_holes: int = 0
    remove_specks: int = 0
    largest_part_only: bool = False
    smooth_edges: float = 0.0

    def apply(self, mask: Mask) -> Mask:
        """The cleaned mask, bool [H, W]; the same array if no cleaning is set. Never empty unless ``mask`` is."""
        if self == Cleaning() or not mask.any():
            return mask
        rows, columns = _around(*(int(edge) for edge in mask_to_xyxy(mask)))
        cleaned = np.zeros_like(mask)
        cleaned[rows, columns] = self._apply(np.ascontiguousarray(mask[rows, columns]))
        return cleaned

    def _apply(self, mask: Mask) -> Mask:
        if self.smooth_edges:
            mask = _smoothed(mask, self.smooth_edges)
        if self.remove_specks or self.largest_part_only:
            mask = _without_specks(mask, self.remove_specks, self.largest_part_only)
        return _without_holes(mask, self.fill_holes) if self.fill_holes else mask


def within_box(mask: Mask, xyxy: NDArray[np.float32], margin: float = BOX_MARGIN) -> MaskCrop:
    """The mask, bool [H, W], inside a box, float32 [4], grown on each side by ``margin`` of its width or height.

    A copy, with as much background around that its pixels may be cleaned in place of the whole mask.
    """
    x1, y1, x2, y2 = xyxy.tolist()
    dx, dy = margin * (x2 - x1), margin * (y2 - y1)
    left, top = max(0, floor(x1 - dx)), max(0, floor(y1 - dy))
    right, bottom = max(0, ceil(x2 + dx)), max(0, ceil(y2 + dy))
    rows, columns = _around(left, top, right, bottom)
    part = MaskCrop(np.zeros_like(mask[rows, columns]), columns.start, rows.start)
    kept = slice(top - part.top, bottom - part.top), slice(left - part.left, right - part.left)
    part.pixels[kept] = mask[top:bottom, left:right]
    return part


def box_of_parts(crop: MaskCrop, least: float) -> NDArray[np.float32]:
    """The box, float32 [4], xyxy, right and bottom exclusive, around those parts of a mask whose area is at least the
    share ``least`` of the largest part's. ``crop`` has a pixel of the mask.

    >>> box_of_parts(MaskCrop(np.array([[1, 0, 1, 1], [0, 0, 1, 1]], np.bool_), left=8, top=4), least=0.5).tolist()
    [10.0, 4.0, 12.0, 6.0]
    """
    _, boxes = _parts(crop.pixels, 8)
    left, top, width, height, area = boxes[1:].T
    kept = area >= least * area.max()
    x, y = (left + crop.left)[kept], (top + crop.top)[kept]
    corners = x.min(), y.min(), (x + width[kept]).max(), (y + height[kept]).max()
    return np.array(corners, np.float32)


def _around(left: int, top: int, right: int, bottom: int) -> tuple[slice, slice]:
    """The rows and columns of a mask's box with a margin of a pixel or two: no other pixels matter for cleaning.

    Cleaning never adds a pixel outside the box: more than half of what the blur sees there is background. The pixel of
    background around the box connects everything outside the mask, so that none of it counts as a hole. The top left
    corner is even, because cv2 numbers parts by blocks of two pixels, and of equally large parts the first is kept.
    """
    return slice(max(0, top - 1) & ~1, bottom + 1), slice(max(0, left - 1) & ~1, right + 1)


def _smoothed(mask: Mask, deviation: float) -> Mask:
    """The mask blurred and thresholded at one half. A mask so thin that this would empty it stays as it is."""
    size = 2 * round(_SMOOTHED_MARGIN * deviation) + 1
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (size, size), deviation, borderType=cv2.BORDER_REPLICATE)
    smooth = np.asarray(blurred > 0.5, np.bool_)
    return smooth if smooth.any() else mask


def _without_specks(mask: Mask, most: int, largest_only: bool) -> Mask:
    parts, boxes = _parts(mask, 8)
    areas = boxes[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept = np.zeros(len(areas), np.bool_) if largest_only else areas > most
    kept[areas.argmax()] = True
    kept[0] = False
    return np.asarray(kept[parts])


def _without_holes(mask: Mask, most: int) -> Mask:
    """Holes are background that the mask encloses; background at the picture's border is not a hole."""
    height, width = mask.shape
    parts, boxes = _parts(~mask, 4)
    left, top, right, bottom = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    enclosed = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    filled = enclosed & (boxes[:, cv2.CC_STAT_AREA] <= most)
    filled[0] = False
    return np.asarray(mask | filled[parts])


def _parts(mask: Mask, connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The number of each pixel's part, int32 [H, W], 0 outside; and each part's x, y, width, height, area."""
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=connectivity)
    return np.asarray(parts, np.int32), np.asarray(boxes, np.int32)
