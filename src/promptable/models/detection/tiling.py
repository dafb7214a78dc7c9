"""Small objects on large pictures: the detector runs on overlapping tiles, and on the whole picture.

The box of an object comes from a view that shows all of the object. An object that is no larger than the overlap of the
tiles lies completely in some tile. A larger object is found on the whole picture, or is joined from its pieces in
neighbouring tiles (``pieces``).
"""

from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.models.detection.detector import Detector
from promptable.models.detection.proposals import Proposals, best_prompts, concatenate
from promptable.models.pixels.picture import Picture

Boxes = NDArray[np.floating[Any]]

_EDGE_SHARE = 0.02
"""An object may continue beyond a tile's edge if its box ends this near to the edge, as a share of the tile's size."""
_GROWTH = 1.05
"""The factor by which tiles are enlarged, repeatedly, until there are few enough of them."""


@dataclass(frozen=True)
class Tiling:
    """Square tiles of ``size`` pixels that overlap by at least the share ``overlap`` of their size.

    With ``size`` 0 there are no tiles. ``whole`` is whether the detector also runs on the whole picture.
    """

    size: int = 0
    overlap: float = 0.25
    whole: bool = True


@dataclass(frozen=True)
class View:
    """A part of a picture; its edges in pixels of the picture, ``right`` and ``bottom`` exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def views(hw: tuple[int, int], tiling: Tiling) -> list[View]:
    """The tiles of a picture of height and width ``hw``, all of one size; none if the picture is no larger than a tile.

    >>> [(view.left, view.right) for view in views((400, 1000), Tiling(size=400, overlap=0.25))]
    [(0, 400), (300, 700), (600, 1000)]
    >>> views((400, 400), Tiling(size=400))
    []
    """
    height, width = hw
    if not tiling.size or max(hw) <= tiling.size:
        return []
    side = tiling.size
    return [
        View(left, top, min(left + side, width), min(top + side, height))
        for top in _starts(height, tiling)
        for left in _starts(width, tiling)
    ]


def enlarged(hw: tuple[int, int], tiling: Tiling, most: int) -> Tiling:
    """The tiling, with tiles enlarged until a picture of ``hw`` has at most ``most`` of them.

    >>> enlarged((400, 1000), Tiling(size=400), most=2)
    Tiling(size=595, overlap=0.25, whole=True)
    """
    while _count(hw, tiling) > most:
        tiling = replace(tiling, size=ceil(tiling.size * _GROWTH))
    return tiling


def propose(
    detector: Detector, image: Picture, prompts: tuple[str, ...], tiling: Tiling, scale: float = 1.0
) -> Proposals:
    """The detector's proposals for a picture, uint8 RGB [H, W, 3], from the views that ``tiling`` describes.

    ``scale`` below 1 shrinks each view for the model, which then needs less memory.
    """
    height, width = image.shape[:2]
    tiles = views((height, width), tiling)
    overlap = tiling.overlap * tiling.size
    parts = [_tile(detector, image, view, prompts, scale, overlap) for view in tiles]
    if tiling.whole or not tiles:
        whole = best_prompts(detector.detect(image, prompts, scale))
        parts.append(whole[_larger_than(whole.boxes_xyxy, overlap)] if tiles else whole)
    return concatenate(parts)


def _count(hw: tuple[int, int], tiling: Tiling) -> int:
    """The number of tiles of a picture of ``hw``."""
    return prod(len(_starts(length, tiling)) for length in hw) if 0 < tiling.size < max(hw) else 0


def _starts(length: int, tiling: Tiling) -> list[int]:
    """Where tiles begin along one side of the picture: evenly spread, the first and last tile at the borders."""
    if length <= tiling.size:
        return [0]
    step = tiling.size * (1 - tiling.overlap)
    count = ceil((length - tiling.size) / step) + 1
    return [round(start) for start in np.linspace(0, length - tiling.size, count)]


def _tile(
    detector: Detector,
    image: Picture,
    view: View,
    prompts: tuple[str, ...],
    scale: float,
    overlap: float,
) -> Proposals:
    """The proposals of one tile, with boxes in pixels of the whole picture."""
    found = best_prompts(detector.detect(image[view.top : view.bottom, view.left : view.right], prompts, scale))
    boxes = found.boxes_xyxy + np.array([view.left, view.top, view.left, view.top], np.float32)
    cut = _reaches(boxes, view) & _inner_edges(view, (image.shape[0], image.shape[1]))
    return replace(found, boxes_xyxy=boxes, cut=cut, beyond_overlap=_larger_than(boxes, overlap))


def _reaches(boxes: Boxes, view: View) -> NDArray[np.bool_]:
    """Which edges of the view (left, top, right, bottom) each box comes near, bool [N, 4]."""
    margin = _EDGE_SHARE * max(view.right - view.left, view.bottom - view.top)
    near_start = boxes[:, :2] <= np.array([view.left, view.top]) + margin
    near_end = boxes[:, 2:] >= np.array([view.right, view.bottom]) - margin
    return np.concatenate([near_start, near_end], 1)


def _inner_edges(view: View, hw: tuple[int, int]) -> NDArray[np.bool_]:
    return np.array([view.left > 0, view.top > 0, view.right < hw[1], view.bottom < hw[0]])


def _larger_than(boxes: Boxes, pixels: float) -> NDArray[np.bool_]:
    """Which boxes are wider or higher than ``pixels``, bool [N]."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2] > pixels).any(1))
