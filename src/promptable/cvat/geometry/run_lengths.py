"""CVAT's run-length encoding of masks, in numpy: ``wire.masks`` needs OpenCV, which the small install lacks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_PIXELS, _LONGEST = 2**28, 2**17
"""The most pixels of a mask's box, and of its side: more than any picture has that Pillow opens, to bound memory."""


def check_size(hw: tuple[int, int]) -> None:
    """Raise ValueError for a mask larger than any picture."""
    if max(hw) > _LONGEST or hw[0] * hw[1] > _MOST_PIXELS:
        raise ValueError(f"a mask of {hw[1]} x {hw[0]} pixels, larger than any picture")


def encode(pixels: NDArray[np.bool_], left: int, top: int) -> tuple[int, ...]:
    """The run lengths of ``pixels``, bool [h, w], whose first one lies at ``left`` and ``top`` of the picture.

    They are those of the tight box around the mask, row by row, beginning with zeros; then follow the box's left, top,
    right and bottom, inclusive. Empty for a mask without a pixel.
    """
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not rows.size:
        return ()
    tight = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].ravel()
    changes = np.flatnonzero(np.diff(tight, prepend=False))  # if the first pixel is set, the first run is 0
    runs = np.diff(changes, prepend=0, append=tight.size).tolist()
    box = [left + columns[0], top + rows[0], left + columns[-1], top + rows[-1]]
    return (*runs, *map(int, box))


def decode(points: Sequence[float]) -> tuple[NDArray[np.bool_], int, int]:
    """The pixels, bool [h, w], of a mask's box, and the box's left and top. Raises ValueError for a broken mask."""
    runs, left, top, hw = _checked(points)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(hw), left, top


def clipped(pixels: NDArray[np.bool_], left: int, top: int, hw: tuple[int, int]) -> tuple[Any, int, int]:
    """The part of a mask's ``pixels`` that lies inside a picture of ``hw``, and its left and top."""
    first_row, first_column = max(-top, 0), max(-left, 0)
    inside = pixels[first_row : max(hw[0] - top, 0), first_column : max(hw[1] - left, 0)]
    return inside, left + first_column, top + first_row


def area(points: Sequence[float]) -> int:
    """The number of pixels of a mask, without decoding it. Raises ValueError for a broken mask."""
    return int(_checked(points)[0][1::2].sum())


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """The IoU of two masks, without decoding them; 0 if neither has a pixel. Raises ValueError for a broken mask.

    >>> iou((0, 4, 0, 0, 1, 1), (0, 4, 1, 0, 2, 1))  # two squares of 2 x 2 that share a column
    0.3333333333333333
    """
    corners = np.array([one[-4:], other[-4:]], np.int64)
    (left, top), width = corners[:, :2].min(0).tolist(), int(np.ptp(corners[:, [0, 2]])) + 1
    (starts, ends), borders = (_stretches(mask, left, top, width) for mask in (one, other))
    edges = borders.T.ravel()
    passed = np.cumsum(np.diff(edges, prepend=0) * (np.arange(len(edges)) % 2))
    common = float(np.diff(np.interp([starts, ends], edges, passed), axis=0).sum()) if len(edges) else 0.0
    return common / max(area(one) + area(other) - common, 1.0)


def _stretches(points: Sequence[float], left: int, top: int, width: int) -> NDArray[np.int64]:
    """The starts and ends [2, N] of the stretches of pixels that are set; no stretch is longer than a row.

    Pixels are numbered row by row over a canvas that begins at ``left`` and ``top`` of the picture and is ``width``
    wide.
    """
    runs, own_left, own_top, (height, own_width) = _checked(points)
    changes = runs.cumsum()
    cuts = np.union1d(changes, np.arange(0, height * own_width + 1, own_width))
    is_set = np.searchsorted(changes, cuts[:-1], "right") % 2 == 1
    within = np.stack([cuts[:-1], cuts[1:]])[:, is_set]
    row = within[0] // own_width
    return np.asarray(within + row * (width - own_width) + (own_top - top) * width + own_left - left)


def _checked(points: Sequence[float]) -> tuple[NDArray[np.int64], int, int, tuple[int, int]]:
    """The runs of a mask, then left, top and (height, width) of its box. Raises ValueError for a broken mask."""
    numbers = np.asarray(points, np.float64)
    if numbers.size < 5 or not np.isfinite(numbers).all() or (numbers < 0).any():
        raise ValueError("run lengths that are no numbers of at least 0")
    runs, (left, top, right, bottom) = numbers[:-4].astype(np.int64), numbers[-4:].astype(np.int64).tolist()
    width, height = right - left + 1, bottom - top + 1
    if width <= 0 or height <= 0 or runs.sum() != width * height:
        raise ValueError(f"run lengths of {runs.sum()} pixels for a box of {width} x {height}")
    check_size((height, width))
    return runs, left, top, (height, width)
