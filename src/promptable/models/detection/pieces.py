"""Objects that tiles cut: their pieces are joined again, and parts that look like objects are told from whole ones.

A tile shows only a part of an object that is larger than the tiles' overlap. A box that ends at its tile's edge is a
piece of such an object (``join_pieces``); one that does not end there may still be a part of it (``are_parts``).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.models.detection.proposals import Proposals, concatenate

Boxes = NDArray[np.floating[Any]]

_SAME_EXTENT = 0.5
"""Pieces on both sides of a seam belong to one object if their extents along the seam have at least this IoU."""
_INSIDE = 0.7
"""A piece belongs to a box that is not cut if at least this share of the piece's area lies inside that box."""
_PART_INSIDE = 0.9
_PART_AREA = 0.5
"""A box is a part of a larger box if at least the share ``_PART_INSIDE`` of its area lies inside the larger box, and
its area is at most the share ``_PART_AREA`` of the larger box's area."""

_ROWS = 128
"""Pieces that are compared with all at a time: of thousands, all pairs would take a gigabyte."""

PIECES = {"same_extent": _SAME_EXTENT, "inside": _INSIDE, "part_inside": _PART_INSIDE, "part_area": _PART_AREA}
"""The limits that ``join_pieces`` and ``are_parts`` use."""


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
    inside = _overlap(boxes_xyxy[parts], boxes_xyxy[wholes]).prod(0) >= _PART_INSIDE * areas[parts, None]
    smaller = areas[parts, None] <= _PART_AREA * areas[wholes]
    found = np.zeros(len(boxes_xyxy), np.bool_)
    found[parts] = (inside & smaller).any(1)
    return found


def _inside_any(
    boxes: Boxes,
    labels: NDArray[np.int64],
    others: Boxes,
    other_labels: NDArray[np.int64],
) -> NDArray[np.bool_]:
    shared = _overlap(boxes, others).prod(0) / _sides(boxes).prod(1, keepdims=True)
    return np.asarray(((shared >= _INSIDE) & (labels[:, None] == other_labels)).any(1))


def _touching(pieces: Proposals, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of pieces belong to one object, bool [N, N]: pieces of one label that overlap, are cut on facing
    sides, and have similar extents along the seam."""
    one_way = np.zeros((len(labels), len(labels)), np.bool_)
    for first in range(0, len(labels), _ROWS):
        rows = np.arange(first, min(first + _ROWS, len(labels)))
        one_way[rows] = _continued(pieces[rows], pieces) & (labels[rows, None] == labels)
    return np.asarray(one_way | one_way.T)


def _continued(pieces: Proposals, others: Proposals) -> NDArray[np.bool_]:
    """Which pieces [A] go on to the right or below in which others [B], bool [A, B]."""
    shared = _overlap(pieces.boxes_xyxy, others.boxes_xyxy)
    sides, other_sides = _sides(pieces.boxes_xyxy).T, _sides(others.boxes_xyxy).T
    extent = shared / (sides[:, :, None] + other_sides[:, None] - shared)
    facing = pieces.cut.T[2:, :, None] & others.cut.T[:2, None]
    return np.asarray((shared > 0).all(0) & (facing & (extent[::-1] >= _SAME_EXTENT)).any(0))


def _groups(touching: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Groups of connected pieces, each as sorted indices, int64 [M]. A piece that touches none is in no group."""
    left = set(np.flatnonzero(touching.any(1)).tolist())
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


def _overlap(a: Boxes, b: Boxes) -> Boxes:
    """Width and height that each box of ``a`` shares with each of ``b``, float [2, A, B]; 0 where they are apart."""
    (starts, ends), (other_starts, other_ends) = (np.split(np.ascontiguousarray(each.T), 2) for each in (a, b))
    shared = np.minimum(ends[:, :, None], other_ends[:, None]) - np.maximum(starts[:, :, None], other_starts[:, None])
    return np.asarray(np.maximum(shared, 0))


def _sides(boxes: Boxes) -> Boxes:
    """Width and height, float [N, 2]."""
    return boxes[:, 2:] - boxes[:, :2]
