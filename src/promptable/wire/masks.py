"""Conversion of masks to and from CVAT's run lengths (RLE), flattened crops and polygons, exact to the pixel.

Coordinates are continuous picture pixels: pixel (row, column) covers [column, column + 1) x [row, row + 1). Run lengths
and crops end, as CVAT defines them, with left, top, right, bottom of the box: pixel indices, all four inclusive.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptable.errors import BadRequestError

Mask = NDArray[np.bool_]
"""bool [H, W]."""

_MOST_CROSSINGS = 10_000_000
"""An outline that crosses more pixel rows than this, all edges together, is an attack or a mistake."""

_DIRECTIONS = np.array([[7, 6, 5], [0, 1, 4], [1, 2, 3]])
"""The direction of a step to one of the 8 neighbours, by row and column of the step, each + 1.

A part of one pixel has a step of (0, 0). It counts as a diagonal direction, so that no side is left out.
"""
_SIDE_ENDS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
"""The x, y where each side of a pixel ends, on a walk down the left side, then along the bottom, up, and back."""


@dataclass(frozen=True)
class MaskCrop:
    """A mask without the empty picture around it: ``pixels`` bool [h, w]; its first pixel is at ``left``, ``top``.

    What is answered is ``tight``: each side of the crop has a pixel of the mask.
    """

    pixels: Mask
    left: int
    top: int

    def tight(self) -> "MaskCrop":
        """A view of the tight box, for which all pixels are read. Raises ValueError when the mask is empty."""
        left, top, width, height = cv2.boundingRect(self.pixels.view(np.uint8))
        if not width:
            raise ValueError("the mask is empty")
        return MaskCrop(self.pixels[top : top + height, left : left + width], self.left + left, self.top + top)

    def in_picture(self, hw: tuple[int, int]) -> Mask:
        """The mask of a picture of ``hw`` (height, width), bool [H, W]."""
        mask = np.zeros(hw, np.bool_)
        height, width = self.pixels.shape
        mask[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return mask

    @property
    def ltrb(self) -> list[int]:
        """Left, top, right and bottom, all four inclusive."""
        height, width = self.pixels.shape
        return [self.left, self.top, self.left + width - 1, self.top + height - 1]

    def flat(self) -> NDArray[np.int32]:
        """As CVAT takes it: pixels, 0 or 1 in row-major order, then left, top, right, bottom; int32 [N].

        Raises ValueError when the mask is empty.
        """
        if not self.pixels.any():
            raise ValueError("the mask is empty")
        return np.append(self.pixels.ravel().astype(np.int32), np.array(self.ltrb, np.int32))


def mask_to_rle(mask: Mask) -> NDArray[np.int64]:
    """Run lengths of the mask's tight box in row-major order, then l, t, r, b; int64 [N]. The first run is of zeros
    (may be 0 long).

    Raises ValueError when the mask is empty. CVAT: cvat-core/src/object-utils.ts, mask2Rle.

    >>> mask = np.zeros((4, 6), np.bool_)
    >>> mask[1, 2:5] = mask[2, 3] = True
    >>> mask_to_rle(mask).tolist()
    [0, 3, 1, 1, 1, 2, 1, 4, 2]
    """
    return crop_to_rle(mask_to_crop(mask))


def crop_to_rle(crop: MaskCrop) -> NDArray[np.int64]:
    """Run lengths as from ``mask_to_rle``, of a tight crop."""
    pixels = crop.pixels.ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    rle = np.append(changes, [pixels.size, *crop.ltrb])
    rle[1:-4] -= changes
    return np.insert(rle, 0, 0) if pixels[0] else rle


def check_rle(points: ArrayLike, field: str = "points") -> NDArray[np.int64]:
    """Run lengths with l, t, r, b as int64 [N].

    Raises BadRequestError naming ``field`` unless they are non-negative integers that add up to the box's area.
    """
    numbers = np.asarray(points, np.float64)
    rle = numbers.astype(np.int64)
    if rle.size < 5:
        raise BadRequestError(f"{field}: expected run lengths and l, t, r, b, got {rle.size} numbers")
    if (rle != numbers).any() or (rle < 0).any():
        raise BadRequestError(
            f"{field}: expected integers of at least 0, got {numbers[(rle != numbers) | (rle < 0)][0]:g}"
        )
    left, top, right, bottom = rle[-4:].tolist()
    if left > right or top > bottom:
        raise BadRequestError(f"{field}: expected l <= r and t <= b at the end, got {[left, top, right, bottom]}")
    area, total = (right - left + 1) * (bottom - top + 1), int(rle[:-4].sum())
    if total != area:
        raise BadRequestError(f"{field}: expected run lengths that add up to {area}, the box's area, got {total}")
    return rle


def rle_to_mask(points: ArrayLike, hw: tuple[int, int], field: str = "points") -> Mask:
    """The mask of CVAT run lengths in a picture of ``hw`` (height, width); allocates no more than the picture's size.

    The part outside the picture is cut off. Raises BadRequestError naming ``field``, as ``check_rle``.

    >>> rle_to_mask([0, 3, 1, 1, 1, 2, 1, 4, 2], hw=(4, 6)).astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 0],
           [0, 0, 0, 1, 0, 0],
           [0, 0, 0, 0, 0, 0]])
    """
    rle = check_rle(points, field)
    left, top, right, bottom = rle[-4:].tolist()
    mask = np.zeros(hw, np.bool_)
    inside = mask[top : bottom + 1, left : right + 1]
    inside[:] = _alternating(_cut(rle[:-4], right - left + 1, inside.shape)).reshape(inside.shape)
    return mask


def mask_to_crop(mask: Mask, xyxy: tuple[int, int, int, int] | None = None) -> MaskCrop:
    """A view of the mask's pixels in its tight box. Raises ValueError when the mask is empty.

    ``xyxy`` is the tight box, right and bottom exclusive, if it is known: no pixel outside is read then.

    >>> mask_to_crop(rle_to_mask([0, 3, 1, 1, 1, 2, 1, 4, 2], hw=(4, 6))).flat().tolist()
    [1, 1, 1, 0, 1, 0, 2, 1, 4, 2]
    """
    if xyxy is None:
        return MaskCrop(mask, 0, 0).tight()
    left, top, right, bottom = xyxy
    return MaskCrop(mask[top:bottom, left:right], left, top)


def mask_to_xyxy(mask: Mask) -> NDArray[np.float32]:
    """The box around the mask's pixels, float32 [4]. Raises ValueError when the mask is empty.

    >>> mask_to_xyxy(rle_to_mask([0, 1, 3, 2, 3, 2], hw=(4, 6)))
    array([3., 2., 4., 3.], dtype=float32)
    """
    return crop_to_xyxy(mask_to_crop(mask))


def crop_to_xyxy(crop: MaskCrop) -> NDArray[np.float32]:
    """The box as from ``mask_to_xyxy``, of a tight crop."""
    left, top, right, bottom = crop.ltrb
    return np.array([left, top, right + 1, bottom + 1], np.float32)


def mask_to_polygon(mask: Mask, tolerance: float = 0.0) -> list[float]:
    """The outline of the mask's largest part, along pixel edges, as flat x, y of at least 3 points.

    Pixels that touch at a side or a corner are one part; the largest is the one with the largest area, holes
    included. Holes are dropped. With ``tolerance`` 0 the polygon covers exactly that part with its holes filled, and
    ``polygon_to_mask`` returns exactly these pixels; otherwise the outline may differ by ``tolerance`` pixels
    (Douglas-Peucker).
    Raises ValueError when the mask is empty.

    >>> mask_to_polygon(rle_to_mask([0, 6, 2, 1, 4, 2], hw=(4, 6)))
    [2.0, 1.0, 2.0, 3.0, 5.0, 3.0, 5.0, 1.0]
    """
    return crop_to_polygon(mask_to_crop(mask), tolerance)


def crop_to_polygon(crop: MaskCrop, tolerance: float = 0.0) -> list[float]:
    """The outline as from ``mask_to_polygon``, of a tight crop."""
    outline = _outline(_largest_part(crop.pixels.view(np.uint8)))
    simple = _simplified(outline, tolerance) + np.array([crop.left, crop.top])
    points: list[float] = simple.astype(np.float64).ravel().tolist()
    return points


def polygon_to_mask(points: ArrayLike, hw: tuple[int, int], field: str = "points") -> Mask:
    """The pixels of a picture of ``hw`` whose centres lie inside the polygon by the even-odd rule.

    ``points`` are flat x, y of at least 3 points. The part outside the picture is cut off. Raises BadRequestError
    naming ``field`` for an outline that crosses more than 10,000,000 pixel rows.

    >>> polygon_to_mask([2, 1, 2, 3, 5, 3, 5, 1], hw=(4, 6)).astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 0],
           [0, 0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0, 0]])
    """
    xy = np.asarray(points, np.float64).reshape(-1, 2)
    height, width = hw
    rows, columns = _crossings(xy, height, field)
    switches = np.sort(rows * width + np.clip(columns, 0, width))
    return _alternating(np.diff(switches, prepend=0, append=height * width)).reshape(hw)


def _cut(runs: NDArray[np.int64], width: int, hw: tuple[int, int]) -> NDArray[np.int64]:
    """The run lengths of a box of ``width`` without what lies beyond its first rows and columns, ``hw``."""
    ends = np.cumsum(runs)
    ends = np.minimum(ends // width * hw[1] + np.minimum(ends % width, hw[1]), hw[0] * hw[1])
    return np.diff(ends, prepend=0)


def _alternating(runs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """False for the first run, True for the second, and so on."""
    return np.repeat(np.arange(runs.size) % 2 == 1, runs)


def _largest_part(crop: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The border pixels of the largest part, holes included, in cv2's order around it; int32 [N, 2] x, y."""
    contours, _ = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # Pick's theorem: the pixels of a part are the area inside its border's centres + half its border's steps + 1.
    largest = max(contours, key=lambda contour: float(cv2.contourArea(contour)) + len(contour) / 2)
    return np.asarray(largest[:, 0], np.int32)


def _outline(border: NDArray[np.int32]) -> NDArray[np.int32]:
    """The outline along pixel edges of a part, given its border pixels in order; its corners only, int32 [N, 2] x, y.

    Between the step into a border pixel and the step out of it, turning as cv2 turns, lie the sides that face outwards:
    the outline is the end of each of those sides.
    """
    back = _direction(np.roll(border, 1, 0) - border)
    turn = (_direction(np.roll(border, -1, 0) - border) - back - 1) % 8 + 1
    steps = np.arange(1, 8)
    directions = (back[:, None] + steps) % 8
    outward = (steps < turn[:, None]) & (directions % 2 == 0)
    ends = (border[:, None] + _SIDE_ENDS[directions // 2])[outward]
    before, after = ends - np.roll(ends, 1, 0), np.roll(ends, -1, 0) - ends
    return np.asarray(ends[(before != after).any(1)], np.int32)


def _direction(steps: NDArray[np.int32]) -> NDArray[np.int64]:
    """The direction of each step x, y, int64 [N]: 0 is left, 2 down, 4 right, 6 up, the odd ones between them."""
    return _DIRECTIONS[steps[:, 1] + 1, steps[:, 0] + 1]


def _simplified(outline: NDArray[np.int32], tolerance: float) -> NDArray[np.int32]:
    """Douglas-Peucker with the tolerance halved until at least 3 points are left."""
    while tolerance > 0:
        simple = np.asarray(cv2.approxPolyDP(outline, tolerance, closed=True)[:, 0], np.int32)
        if len(simple) >= 3:
            return simple
        tolerance /= 2
    return outline


def _crossings(xy: NDArray[np.float64], height: int, field: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where a closed outline crosses the middle of a pixel row: the row, the first column whose centre is beyond."""
    upper, lower = xy, np.roll(xy, -1, 0)
    swapped = (upper[:, 1] > lower[:, 1])[:, None]
    upper, lower = np.where(swapped, lower, upper), np.where(swapped, upper, lower)
    first = np.clip(np.ceil(upper[:, 1] - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(lower[:, 1] - 0.5), 0, height).astype(np.int64)
    counts = last - first
    if counts.sum() > _MOST_CROSSINGS:
        raise BadRequestError(
            f"{field}: expected the outline of one object, got one that crosses {counts.sum()} pixel rows"
        )
    edges = np.repeat(np.arange(len(xy)), counts)
    rows = np.arange(edges.size) - np.repeat(np.cumsum(counts) - counts, counts) + first[edges]
    along = (rows + 0.5 - upper[edges, 1]) / (lower - upper)[edges, 1]
    x = upper[edges, 0] + along * (lower - upper)[edges, 0]
    return rows, np.ceil(x - 0.5).astype(np.int64)
