"""Small objects on large pictures: the detector is shown overlapping tiles, and the whole picture.

Each object is answered by a view that has all of it. What is no larger than the tiles' overlap lies whole in some tile;
larger things are the whole picture's, or are joined from the pieces in neighbouring tiles (``join_pieces``). A tile
shows no more than a part of them, which looks like a thing of its own (``are_parts``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.models.detection.detector import Detector
from promptable.models.detection.proposals import Proposals, best_prompts, concatenate

Boxes = NDArray[np.floating[Any]]

_EDGE_SHARE = 0.02
"""A box that ends this near to a tile's edge, as a share of the tile, may go on beyond it."""
_SAME_EXTENT = 0.5
"""Pieces on both sides of a seam are of one object if their extents along the seam overlap by this IoU."""
_INSIDE = 0.7
"""A piece is part of a whole box if this share of it lies inside."""
_GROWTH = 1.05
"""How much larger tiles become at a time, where there would be too many."""
_PART_INSIDE = 0.9
_PART_AREA = 0.5
"""A box is a part of a larger one if this share of it lies inside, and it takes at most this share of the other."""

PIECES = {"same_extent": _SAME_EXTENT, "inside": _INSIDE, "part_inside": _PART_INSIDE, "part_area": _PART_AREA}
"""What ``join_pieces`` and ``are_parts`` compare by."""


@dataclass(frozen=True)
class Tiling:
    """Square tiles of ``size`` pixels, 0 for none, that overlap by at least the share ``overlap`` of their size.

    ``whole`` is whether the detector is shown the whole picture too.
    """

    size: int = 0
    overlap: float = 0.25
    whole: bool = True


@dataclass(frozen=True)
class View:
    """A part of a picture, in its pixels."""

    left: int
    top: int
    right: int
    bottom: int


def views(hw: tuple[int, int], tiling: Tiling) -> list[View]:
    """The tiles of a picture of height and width ``hw``, all of one size; none where it is no larger than a tile.

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
    """The tiling, with tiles as much larger as it takes for a picture of ``hw`` to have at most ``most`` of them.

    >>> enlarged((400, 1000), Tiling(size=400), most=2)
    Tiling(size=595, overlap=0.25, whole=True)
    """
    while _count(hw, tiling) > most:
        tiling = replace(tiling, size=ceil(tiling.size * _GROWTH))
    return tiling


def propose(
    detector: Detector, image: NDArray[np.uint8], prompts: tuple[str, ...], tiling: Tiling, scale: float = 1.0
) -> Proposals:
    """What the detector proposes for a picture, uint8 RGB [H, W, 3], seen as ``tiling`` says.

    ``scale`` shrinks what the model is shown, and with it the memory that it takes.
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
    """Pieces of objects that edges of tiles cut, joined across the seams; what still ends at a seam is dropped.

    ``labels`` [N] belong to the boxes. A piece inside a whole box of its label adds nothing to it.
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
    """Which boxes [N, 4] are parts of larger things, bool [N]; ``things`` bool [N] says which can have parts.

    Only what is ``beyond_overlap`` can be a part: what is small enough for the tiles is theirs, wherever it lies.
    """
    areas = _sides(boxes_xyxy).prod(1)
    parts, wholes = np.flatnonzero(beyond_overlap), np.flatnonzero(things & ~beyond_overlap)
    inside = _overlap(boxes_xyxy[parts], boxes_xyxy[wholes]).prod(2) >= _PART_INSIDE * areas[parts, None]
    smaller = areas[parts, None] <= _PART_AREA * areas[wholes]
    found = np.zeros(len(boxes_xyxy), np.bool_)
    found[parts] = (inside & smaller).any(1)
    return found


def _count(hw: tuple[int, int], tiling: Tiling) -> int:
    """How many tiles a picture has."""
    return prod(len(_starts(length, tiling)) for length in hw) if 0 < tiling.size < max(hw) else 0


def _starts(length: int, tiling: Tiling) -> list[int]:
    """Where tiles begin along one side: evenly spread, the first and the last at the picture's borders."""
    if length <= tiling.size:
        return [0]
    step = tiling.size * (1 - tiling.overlap)
    count = ceil((length - tiling.size) / step) + 1
    return [round(start) for start in np.linspace(0, length - tiling.size, count)]


def _tile(
    detector: Detector,
    image: NDArray[np.uint8],
    view: View,
    prompts: tuple[str, ...],
    scale: float,
    overlap: float,
) -> Proposals:
    """Proposals of one tile, in pixels of the picture."""
    found = best_prompts(detector.detect(image[view.top : view.bottom, view.left : view.right], prompts, scale))
    boxes = found.boxes_xyxy + np.array([view.left, view.top, view.left, view.top], np.float32)
    cut = _reaches(boxes, view) & _inner_edges(view, image.shape[:2])
    return replace(found, boxes_xyxy=boxes, cut=cut, beyond_overlap=_larger_than(boxes, overlap))


def _reaches(boxes: Boxes, view: View) -> NDArray[np.bool_]:
    """Which edges of the view each box comes near, bool [N, 4]."""
    margin = _EDGE_SHARE * max(view.right - view.left, view.bottom - view.top)
    near_start = boxes[:, :2] <= np.array([view.left, view.top]) + margin
    near_end = boxes[:, 2:] >= np.array([view.right, view.bottom]) - margin
    return np.concatenate([near_start, near_end], 1)


def _inner_edges(view: View, hw: tuple[int, int]) -> NDArray[np.bool_]:
    return np.array([view.left > 0, view.top > 0, view.right < hw[1], view.bottom < hw[0]])


def _larger_than(boxes: Boxes, pixels: float) -> NDArray[np.bool_]:
    """Which boxes are wider or higher than that, bool [N]."""
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
    """Which pieces are of one object, bool [N, N]: of one label, cut on facing sides, and alike along the seam."""
    boxes = pieces.boxes_xyxy
    shared = _overlap(boxes, boxes)
    sides = _sides(boxes)
    extent = shared / (sides[:, None] + sides[None] - shared)
    alike = (shared > 0).all(2) & (labels[:, None] == labels[None])
    facing = pieces.cut[:, None, 2:] & pieces.cut[None, :, :2]
    one_way = alike & (facing & (extent[..., ::-1] >= _SAME_EXTENT)).any(2)
    return np.asarray(one_way | one_way.T)


def _groups(touching: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Indices of connected pieces."""
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
    """The box around a group, with its strongest piece's score, and that piece; cut where its outermost piece is."""
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
        beyond_overlap=np.ones(1, np.bool_),  # or a tile would have had it whole
    )
    return joined, strongest
