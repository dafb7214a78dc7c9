"""The boxes of a track on many frames at once."""

import math
from collections.abc import Mapping
from operator import methodcaller
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.detection import MASK, RECTANGLE
from promptable.cvat.geometry.extent import extent_of

_TURN = methodcaller("get", "rotation")


class TrackBoxes:
    """The box of a track on any frames, interpolated linearly between keyframes, and held after the last one.

    For a polygon it is the box around it; between keyframes it differs by a pixel or so from that of the polygon which
    CVAT shows. For a skeleton, whose points are tracks of their own, it is the box around the points that are shown.
    """

    def __init__(self, track: Mapping[str, Any]) -> None:
        """``track`` is as CVAT's REST API gives it. Raises ValueError, which says why, for a broken one."""
        keys = sorted(track["shapes"], key=lambda key: int(key["frame"]))
        if not keys:
            raise ValueError("a track without keyframes")
        if any(key["type"] == MASK for key in keys):
            raise ValueError("a track of masks, with which CVAT's editor cannot open the job")
        if len(forms := {str(key["type"]) for key in keys}) > 1:
            raise ValueError(f"keyframes of {' and '.join(sorted(forms))} in one track: CVAT exports no such task")
        self.frames = np.array([int(key["frame"]) for key in keys])
        self._outside = np.array([bool(key["outside"]) for key in keys])
        self._first = int(self.frames[0])
        self._last = math.inf if not self._outside[-1] else int(self.frames[-1]) - 1
        self._elements = [TrackBoxes(element) for element in track.get("elements") or ()]
        self._extents = np.empty((0, 5)) if self._elements else _extents(keys)
        self._turned = _turned(keys) if keys[0]["type"] == RECTANGLE and any(map(_TURN, keys)) else None

    def may_be_on(self, frames: NDArray[np.int64]) -> bool:
        """Whether the frames [N], ascending, reach into those from the first to the last on which it is seen."""
        return bool(len(frames) and self._first <= frames[-1] and frames[0] <= self._last)

    def on(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Whether the track is seen on each of the frames [N], bool [N], and its x1, y1, x2, y2 and area, [N, 5].

        They are NaN where it is not seen; the area is NaN where it has none.
        """
        before = np.searchsorted(self.frames, frames, "right") - 1
        shown = (before >= 0) & ~self._outside[before]
        if self._elements:
            extents = _around(np.stack([element.on(frames)[1] for element in self._elements]))
        elif self._turned is not None:
            extents = _upright(self._between(frames, self._turned))
        else:
            extents = self._between(frames, self._extents)
        return shown, np.where(shown[:, None], extents, np.nan)

    def _between(self, frames: NDArray[np.int64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Columns of the keyframes [K, C] on the frames [N], as [N, C]."""
        return np.stack([np.interp(frames, self.frames, column) for column in columns.T], 1)


def _turned(keys: Any) -> NDArray[np.float64]:
    """The points and turn of rectangles, [K, 5]; CVAT turns the shorter way round, in degrees."""
    turns = np.unwrap([float(_TURN(key) or 0) for key in keys], period=360)
    return np.column_stack([[key["points"] for key in keys], turns]).astype(np.float64)


def _upright(turned: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box around each of the rectangles of ``_turned`` [N, 5], and its area, as [N, 5]."""
    low, high, turn = turned[:, :2], turned[:, 2:4], np.deg2rad(turned[:, 4:])
    half, middle = (high - low) / 2, (low + high) / 2
    reach = np.abs(half * np.cos(turn)) + np.abs(half[:, ::-1] * np.sin(turn))
    return np.concatenate([middle - reach, middle + reach, 4 * half.prod(1, keepdims=True)], 1)


def _around(extents: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes around ``extents`` [E, N, 5], NaN ignored, as [N, 5]; their areas are NaN."""
    low, high = np.fmin.reduce(extents[..., :2]), np.fmax.reduce(extents[..., 2:4])
    return np.concatenate([low, high, np.full((len(low), 1), np.nan)], 1)


def _extents(keys: Any) -> NDArray[np.float64]:
    """The box and area of each keyframe, [K, 5]; the area is NaN if it has none. Raises ValueError for a broken one."""
    extents = [extent_of(key) for key in keys]
    return np.array([(*one.box, np.nan if one.area is None else one.area) for one in extents])
