"""Tracks on many frames at once, as boxes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.detection import MASK
from promptable.cvat.geometry.extent import extent_of


class TrackBoxes:
    """The box of a track on any frames, as CVAT shows it: in a straight line from keyframe to keyframe, then held.

    Of a polygon it is the box around it, which between keyframes is a pixel or so beside that of CVAT's polygon; of a
    skeleton, whose points are tracks of their own, the box around those that are shown.
    """

    def __init__(self, track: Mapping[str, Any]) -> None:
        """``track`` as CVAT's REST API gives it. Raises ValueError for one that cannot be read."""
        keys = sorted(track["shapes"], key=lambda key: int(key["frame"]))
        if not keys:
            raise ValueError("a track without keyframes")
        if any(key["type"] == MASK for key in keys):
            raise ValueError("a track of masks, with which CVAT's editor cannot open the job")
        if len(forms := {str(key["type"]) for key in keys}) > 1:
            raise ValueError(f"keyframes of {' and '.join(sorted(forms))} in one track: CVAT exports no such task")
        self.frames = np.array([int(key["frame"]) for key in keys])
        self._outside = np.array([bool(key["outside"]) for key in keys])
        self._elements = [TrackBoxes(element) for element in track.get("elements") or ()]
        self._extents = np.empty((0, 5)) if self._elements else _extents(keys)

    def on(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Whether it is shown, [N], and x1, y1, x2, y2 and the area, [N, 5]; NaN where it is not, or has none."""
        before = np.searchsorted(self.frames, frames, "right") - 1
        shown = (before >= 0) & ~self._outside[before]
        if self._elements:
            extents = _around(np.stack([element.on(frames)[1] for element in self._elements]))
        else:
            extents = np.stack([np.interp(frames, self.frames, column) for column in self._extents.T], 1)
        return shown, np.where(shown[:, None], extents, np.nan)


def _around(extents: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes around those of ``extents`` [E, N, 5] that are no NaN, without an area: [N, 5]."""
    low, high = np.fmin.reduce(extents[..., :2]), np.fmax.reduce(extents[..., 2:4])
    return np.concatenate([low, high, np.full((len(low), 1), np.nan)], 1)


def _extents(keys: Any) -> NDArray[np.float64]:
    """Box and area of each keyframe, [K, 5]; NaN where it has none."""
    extents = [extent_of(key) for key in keys]
    return np.array([(*one.box, np.nan if one.area is None else one.area) for one in extents])
