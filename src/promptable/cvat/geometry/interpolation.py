"""CVAT's rule for what a track shows between two keyframes.

Checked against exports of CVAT 2.73 (``tests/cvat/recordings/interpolated.json``). Frames are the task's numbers.
"""

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def share(left: int, right: int, frames: NDArray[Any] | int) -> NDArray[np.float64]:
    """The offsets of ``frames`` between the keyframes ``left`` and ``right``: 0 at the first, 1 at the second."""
    return np.asarray((np.asarray(frames, np.float64) - left) / (right - left))


def rectangle(left: Points, right: Points, offset: NDArray[np.float64] | float) -> Points:
    """The rectangles x1, y1, x2, y2 [..., 4] between two [4], at offsets [...] from 0 to 1, by linear interpolation."""
    along = np.asarray(offset, np.float64)[..., None]
    return np.asarray(left + (right - left) * along)


def rotation(left: float, right: float, offset: float) -> float:
    """The rotation between two, at ``offset`` from 0 to 1, by the shorter arc; in degrees, [0, 360).

    >>> [round(rotation(350, 20, step / 10), 1) for step in range(0, 11, 2)]
    [350.0, 356.0, 2.0, 8.0, 14.0, 20.0]
    """
    arc = (right - left + 180) % 360 - 180
    return (left + arc * offset + 360) % 360


def polygon(left: Points, right: Points, offset: float) -> Points:
    """The polygon [P, 2] between two, [N, 2] and [M, 2], at ``offset`` from 0 to 1.

    Points are matched by their relative arc length from the first point: each left one with the nearest right one, then
    each remaining right one with the nearest left one. Each pair is interpolated linearly. If a point has several
    partners, interpolated points of its pairs that lie close together are merged.
    """
    left, right = np.vstack([left, left[:1]]), np.vstack([right, right[:1]])
    starts, ends = _matched(_arc_lengths(left), _arc_lengths(right))
    between = left[starts] + (right[ends] - left[starts]) * offset
    several = np.bincount(starts)[starts] > 1
    keys = zip(several.tolist(), np.where(several, starts, ends).tolist(), strict=True)
    joined: list[Points] = []
    for (spread, _), group in groupby(range(len(starts)), key=list(keys).__getitem__):
        pairs = list(group)
        base = right[ends[pairs[0]] : ends[pairs[-1]] + 1] if spread else left[starts[pairs[0]] : starts[pairs[-1]] + 1]
        joined += _joined(between[pairs], _length(base) / (2 * len(base)))
    return np.array(joined[:-1])


def _joined(points: Points, least: float) -> list[Points]:
    """Points [N, 2] without those that are nearer than ``least`` to the one kept before; both ends are kept.

    If only the ends are left, and they are nearer than ``least``, the point in the middle between them.
    """
    if len(points) == 1:
        return list(points)
    kept = [points[0]]
    for point in points[1:-1]:
        if np.linalg.norm(point - kept[-1]) >= least:
            kept.append(point)
    kept.append(points[-1])
    near = len(kept) == 2 and np.linalg.norm(points[-1] - points[0]) < least
    return [(points[0] + points[-1]) / 2] if near else kept


def _length(way: Points) -> float:
    """The length of the open polyline through points [N, 2]."""
    return float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())


def _arc_lengths(closed: Points) -> NDArray[np.float64]:
    """The arc length [N] from the first of the points [N, 2] to each of them, as a share of the whole, 0 to 1."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    return np.asarray(way / max(way[-1], np.finfo(float).tiny))


def _matched(left: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs of matched points, as their indices in ``left`` and in ``right``, sorted; both are arc lengths."""
    apart = np.abs(left[:, None] - right[None, :])
    nearest = apart.argmin(1)
    over = np.setdiff1d(np.arange(len(right)), nearest)
    starts = np.concatenate([np.arange(len(left)), apart[:, over].argmin(0)])
    ends = np.concatenate([nearest, over])
    order = np.lexsort((ends, starts))
    return starts[order], ends[order]
