"""CVAT's run lengths of masks, with numpy alone: ``wire.masks`` needs OpenCV, which is no part of the small install."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def encode(pixels: NDArray[np.bool_], left: int, top: int) -> tuple[int, ...]:
    """Run lengths, zeros first, over the tight box of ``pixels`` bool [h, w], then left, top, right, bottom, inclusive.

    The first pixel lies at ``left`` and ``top`` of the picture. Empty for a mask without a pixel.
    """
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not rows.size:
        return ()
    tight = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].ravel()
    changes = np.flatnonzero(np.diff(tight, prepend=False))  # a first pixel that is set makes a first run of none
    runs = np.diff(changes, prepend=0, append=tight.size).tolist()
    box = [left + columns[0], top + rows[0], left + columns[-1], top + rows[-1]]
    return (*runs, *map(int, box))


def decode(points: Sequence[float]) -> tuple[NDArray[np.bool_], int, int]:
    """The pixels bool [h, w] of the box, and its left and top. Raises ValueError for what is no mask."""
    numbers = np.asarray(points, np.float64)
    if numbers.size < 5 or not np.isfinite(numbers).all() or (numbers < 0).any():
        raise ValueError("run lengths that are no numbers of at least 0")
    *runs, left, top, right, bottom = numbers.astype(np.int64).tolist()
    width, height = right - left + 1, bottom - top + 1
    if width <= 0 or height <= 0 or sum(runs) != width * height:
        raise ValueError(f"run lengths of {sum(runs)} pixels for a box of {width} x {height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width), left, top


def clipped(pixels: NDArray[np.bool_], left: int, top: int, hw: tuple[int, int]) -> tuple[Any, int, int]:
    """The part inside a picture of ``hw``, and where it begins."""
    first_row, first_column = max(-top, 0), max(-left, 0)
    inside = pixels[first_row : max(hw[0] - top, 0), first_column : max(hw[1] - left, 0)]
    return inside, left + first_column, top + first_row
