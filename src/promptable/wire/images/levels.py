"""Conversion of gray values of any depth to 8-bit gray levels.

The rule is that of CVAT's own chunks (cvat/apps/engine/media_extractors.py): the picture's finite minimum becomes 0,
its finite maximum 255. NaN and -Infinity become 0, +Infinity 255; a picture of one value is all 0. (CVAT also equalizes
16-bit gray for display; we do not.)
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# Integer values in a range of fewer values than this are converted by a lookup table.
_MOST_ENTRIES = 2**16
_PIECE = 2**18  # values that are converted at a time


def stretched(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The finite range of ``values`` [H, W] stretched to 0..255, piece by piece, so that copies stay small."""
    low, high = _finite_range(values)
    scale = _table(low, high) if values.dtype.kind in "iu" and high - low < _MOST_ENTRIES else _formula(low, high)
    flat, levels = values.ravel(), np.empty(values.size, np.uint8)
    for start in range(0, values.size, _PIECE):
        levels[start : start + _PIECE] = scale(flat[start : start + _PIECE])
    return levels.reshape(values.shape)


def _finite_range(values: NDArray[np.generic]) -> tuple[float, float]:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _formula(low: float, high: float) -> Callable[[NDArray[np.generic]], NDArray[np.uint8]]:
    """A function from values to gray levels, for pictures with this finite minimum and maximum."""

    def scale(values: NDArray[np.generic]) -> NDArray[np.uint8]:
        bounded = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
        return np.rint((bounded - low) / ((high - low) or 1.0) * 255).astype(np.uint8)

    return scale


def _table(low: float, high: float) -> Callable[[NDArray[np.generic]], NDArray[np.uint8]]:
    """The same function for integers, computed once for each possible value."""
    levels = _formula(low, high)(np.arange(low, high + 1))
    return lambda values: levels[values.astype(np.int64) - int(low)]
