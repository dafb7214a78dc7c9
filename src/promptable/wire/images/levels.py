"""Values of any depth to gray levels.

As CVAT's own chunks show them (cvat/apps/engine/media_extractors.py), except that its display also equalizes 16-bit
gray: the picture's finite minimum becomes 0, its maximum 255. NaN is black, -Infinity black, +Infinity white; a picture
of one value is black.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# The gray levels that a picture is stretched by are looked up where it can have only so many different values.
_MOST_ENTRIES = 2**16
_PIECE = 2**18  # values that are stretched at a time


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
    """From values to gray levels."""

    def scale(values: NDArray[np.generic]) -> NDArray[np.uint8]:
        bounded = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
        return np.rint((bounded - low) / ((high - low) or 1.0) * 255).astype(np.uint8)

    return scale


def _table(low: float, high: float) -> Callable[[NDArray[np.generic]], NDArray[np.uint8]]:
    """The formula for integers, worked out once for each value that there can be."""
    levels = _formula(low, high)(np.arange(low, high + 1))
    return lambda values: levels[values.astype(np.int64) - int(low)]
