"""Small objects on large pictures: the detector runs on overlapping tiles, and on the whole picture.

The box of an object comes from a view that shows all of the object. An object that is no larger than the overlap of the
tiles lies completely in some tile. A larger object is found on the whole picture, or is joined from its pieces in
neighbouring tiles (``join_pieces``). A tile shows only a part of a larger object, and the detector may take that part
for an object of its own; ``are_parts`` finds such boxes.
"""

from collections.abc import Iterator
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
_SAME_EXTENT = 0.5
"""Pieces on both sides of a seam belong to one object if their extents along the seam have at least this IoU."""
_INSIDE = 0.7
"""A piece belongs to a box that is not cut if at least this share of the piece's area lies inside that box."""
_GROWTH = 1.05
"""The factor by which tiles are enlarged, repeatedly, until there are few enough of them."""
_PART_INSIDE = 0.9
_PART_AREA = 0.5
"""A box is a part of a larger box if at least the share ``_PART_INSIDE`` of its area lies inside the larger box, and
its area is at most the share ``_PART_AREA`` of the larger box's area."""

PIECES = {"same_extent": _SAME_EXTENT, "inside": _INSIDE, "part_inside": _PART_INSIDE, "part_area": _PART_AREA}
"""The limits that ``join_pieces`` and ``are_parts`` use."""


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


def join_pieces(proposals: Proposals, labels: NDArray[np.int64]) -> tuple[Proposals, NDArray[np.int64]]:
    """Join the pieces of objects that tile edges cut. Returns whole and joined boxes, and their labels.

    ``labels`` int64 [N] are the labels of the boxes. A piece inside an uncut box of the same label is dropped, and so
    is a piece, or a box joined from pieces, that still ends at a tile edge.
    """
    cut = np.asarray(proposals.cut.any(1))
    whole, pieces = proposals[~cut], proposals[cut]
    new = ~_inside_any(pieces.boxes_xyxy, labels[cut], whole.boxes_xyxy, labels[~cut])
    pieces, piece_labels = pieces[new], labels[cut][new]
    joined = [_union(pieces, group) for group in _groups(_touching(pieces, piece_labels))]
    complete = [(one, piece_labels[first]) for one, first in joined if not one.cut.any()]
    return (
        concatenate([whole, *(one for one, _ in complete)]),
        np.concatenate([labels[~cut], np.array([label for _, label in complete], np.int64)]),
    )


def are_parts(boxes_xyxy: Boxes, beyond_overlap: NDArray[np.bool_], things: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which boxes [N, 4] are parts of larger objects, bool [N]; ``things`` bool [N] says which boxes can have parts.

    Only boxes that are ``beyond_overlap`` can be parts: a smaller object lies completely in some tile, so its box is
    kept even if it lies inside a larger box.
    """
    areas = _sides(boxes_xyxy).prod(1)
    parts, wholes = np.flatnonzero(beyond_overlap), np.flatnonzero(things & ~beyond_overlap)
    inside = _overlap(boxes_xyxy[parts], boxes_xyxy[wholes]).prod(2) >= _PART_INSIDE * areas[parts, None]
    smaller = areas[parts, None] <= _PART_AREA * areas[wholes]
    found = np.zeros(len(boxes_xyxy), np.bool_)
    found[parts] = (inside & smaller).any(1)
    return found


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
    return np.asarray((_sides(boxes) > pixels).any(1))


def _sides(boxes: Boxes) -> Boxes:
    """Width and height, float32 [N, 2]."""
    return boxes[:, 2:] - boxes[:, :2]


def _overlap(a: Boxes, b: Boxes) -> Boxes:
    """Width and height that each box of ``a`` shares with each of ``b``, float32 [A, B, 2]; 0 where they are apart."""
    shared = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    return np.asarray(np.maximum(shared, 0))


def _inside_any(
    boxes: Boxes,
    labels: NDArray[np.int64],
    others: Boxes,
    other_labels: NDArray[np.int64],
) -> NDArray[np.bool_]:
    shared = _overlap(boxes, others).prod(2) / _sides(boxes).prod(1, keepdims=True)
    return np.asarray(((shared >= _INSIDE) & (labels[:, None] == other_labels)).any(1))


def _touching(pieces: Proposals, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of pieces belong to one object, bool [N, N]: pieces of one label that overlap, are cut on facing
    sides, and have similar extents along the seam."""
    boxes = pieces.boxes_xyxy
    shared = _overlap(boxes, boxes)
    sides = _sides(boxes)
    extent = shared / (sides[:, None] + sides[None] - shared)
    alike = (shared > 0).all(2) & (labels[:, None] == labels[None])
    facing = pieces.cut[:, None, 2:] & pieces.cut[None, :, :2]
    one_way = alike & (facing & (extent[..., ::-1] >= _SAME_EXTENT)).any(2)
    return np.asarray(one_way | one_way.T)


def _groups(touching: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Groups of connected pieces, each as sorted indices, int64 [M]."""
    left = set(range(len(touching)))
    while left:
        group: set[int] = set()
        grown = {min(left)}
        while grown > group:
            group = grown
            grown = group | set(np.flatnonzero(touching[sorted(group)].any(0)).tolist())
        left -= group
        yield np.array(sorted(group))


def _union(pieces: Proposals, group: NDArray[np.int64]) -> tuple[Proposals, int]:
    """The box around a group of pieces, and the index of the piece with the highest score.

    The box has that piece's score. On each side it is ``cut`` if the outermost piece on that side is.
    """
    boxes, cut = pieces.boxes_xyxy[group], pieces.cut[group]
    strongest = int(group[pieces.scores[group].argmax()])
    outward = boxes * np.array([-1, -1, 1, 1], np.float32)
    outermost = outward.argmax(0)
    sides = np.arange(4)
    one = pieces[np.array([strongest])]
    joined = replace(
        one,
        boxes_xyxy=boxes[outermost, sides][None],
        cut=cut[outermost, sides][None],
        beyond_overlap=np.ones(1, np.bool_),  # a smaller object would have been uncut in some tile
    )
    return joined, strongest
