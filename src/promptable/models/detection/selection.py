"""Selection of the few detections that are answered from all proposals of a picture.

Boxes are compared in float64, in exactly the order of operations written here: the page of ``promptable preview`` does
the same in JavaScript, whose numbers are float64. Scores and thresholds are compared as float32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from promptable.models.detection.pieces import PIECES, are_parts, join_pieces
from promptable.models.detection.proposals import Proposals

_SAME_OBJECT = 0.8
"""Shapes of different captions with a larger IoU are one object. (Prompts of one caption compete inside the model.)"""

COMPARISONS = {"same_object": _SAME_OBJECT, **PIECES}
"""The fixed limits by which boxes are compared, beside the settings; for clients that apply the same rules."""

_MOST_CANDIDATES = 4000
"""Only this many of the strongest boxes are compared: at a threshold near 0, tiles give a hundred thousand boxes."""


@dataclass(frozen=True)
class Detections:
    """The objects found in a picture, highest score first.

    ``boxes_xyxy`` float32 [N, 4] in continuous pixels, inside the picture and not empty; ``labels`` int64 [N], indices
    of labels; ``scores`` float32 [N] in 0..1.
    """

    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class LabelRule:
    """A box gets the label if its score is at least ``threshold`` and it covers at most ``max_area`` of the picture.

    ``max_area`` is a share, 0..1. ``shape`` is whether the box itself is answered. If not, a tag says only that the
    label is on the picture.
    """

    threshold: float
    max_area: float = 1.0
    shape: bool = True


@dataclass(frozen=True)
class Suppression:
    """Which of several overlapping boxes stay, and how many shapes are answered.

    Of two boxes of one label with an IoU over ``nms_iou``, only the better one stays. The same holds for shapes of any
    labels with an IoU over ``cross_label_iou`` (1 keeps them all). Of the remaining shapes, the ``limit`` best stay.
    """

    nms_iou: float = 0.6
    cross_label_iou: float = 1.0
    limit: int = 300


def select(
    proposals: Proposals,
    label_of_prompt: Sequence[int],
    rules: Sequence[LabelRule],
    hw: tuple[int, int],
    suppression: Suppression,
) -> Detections:
    """Label each box by its best prompt, and keep the boxes that the rule of their label accepts.

    ``label_of_prompt`` [P] is the index of each prompt's label; synonyms have the same label. There is one rule for
    each label. Boxes are clipped to the picture ``hw``, pieces from tiles are joined, and parts of larger objects and
    overlapping boxes are suppressed. Empty boxes are dropped.
    """
    labels = np.asarray(label_of_prompt, np.int64)[proposals.prompt_indices]
    accepted = np.flatnonzero(_accepted(proposals, labels, rules, hw))
    strongest = np.argsort(-proposals.scores[accepted], kind="stable")
    accepted = accepted[strongest[: max(_MOST_CANDIDATES, suppression.limit)]]
    joined, labels = join_pieces(_in_double(proposals[accepted]), labels[accepted])
    boxes = _clipped(joined.boxes_xyxy.astype(np.float64), hw)
    shapes = np.array([rule.shape for rule in rules])[labels]
    fits = _area(boxes) <= np.array([rule.max_area for rule in rules])[labels] * hw[0] * hw[1]
    kept = np.flatnonzero(fits & ~are_parts(boxes, joined.beyond_overlap, fits & shapes))
    order = kept[_suppressed(boxes[kept], labels[kept], shapes[kept], joined[kept], suppression)]
    order = order[~shapes[order] | (shapes[order].cumsum() <= suppression.limit)]
    return Detections(boxes[order].astype(np.float32), labels[order], joined.scores[order])


def possible_boxes(
    proposals: Proposals,
    label_of_prompt: Sequence[int],
    rules: Sequence[LabelRule],
    hw: tuple[int, int],
    nms_iou: float,
) -> NDArray[np.float32]:
    """Every box of a shape that ``select`` could answer at these rules' thresholds or any higher ones, float32 [M, 4].

    The boxes of all labels, each box once. A few of them may be boxes that ``select`` answers at no thresholds.
    """
    labels = np.asarray(label_of_prompt, np.int64)[proposals.prompt_indices]
    accepted = np.flatnonzero(_accepted(proposals, labels, rules, hw))
    accepted = accepted[np.argsort(-proposals.scores[accepted], kind="stable")]
    found = [np.zeros((0, 4), np.float32)]
    for number, rule in enumerate(rules):
        own = _in_double(proposals[accepted[labels[accepted] == number]])
        if rule.shape and len(own.scores):
            found += [_may_remain(one, rule, hw, nms_iou) for one in _at_all_thresholds(own)]
    return np.unique(np.concatenate(found), axis=0)


def _at_all_thresholds(own: Proposals) -> Iterator[Proposals]:
    """One label's proposals at each threshold: of ``own``, best first, those above the threshold, with pieces joined.

    A threshold is left out if a lower one only adds weaker boxes: a box that remains then remains at the lower one too.
    Where there are no pieces and no possible parts of larger objects, only the lowest threshold is left.
    """
    ends = np.flatnonzero(np.diff(own.scores, append=-1.0)) + 1  # equal scores pass together
    steps = ends if own.cut.any() or own.beyond_overlap.any() else ends[-1:]
    joined = (join_pieces(own[np.arange(end)], np.zeros(end, np.int64))[0] for end in steps)
    before = next(joined)
    for now in joined:
        if not _only_adds_weaker(now, before):
            yield before
        before = now
    yield before


def _only_adds_weaker(now: Proposals, before: Proposals) -> bool:
    """Whether ``now`` is ``before`` and boxes that are weaker than all of these."""
    kept = now[now.scores >= before.scores.min(initial=np.inf)]
    same_boxes = np.array_equal(kept.boxes_xyxy, before.boxes_xyxy)
    return same_boxes and np.array_equal(kept.beyond_overlap, before.beyond_overlap)


def _may_remain(one: Proposals, rule: LabelRule, hw: tuple[int, int], nms_iou: float) -> NDArray[np.float32]:
    """The boxes of one label that may remain, float32 [M, 4].

    A better box suppresses others here only if it cannot itself be suppressed.
    """
    boxes = _clipped(one.boxes_xyxy.astype(np.float64), hw)
    order = np.argsort(-one.scores, kind="stable")
    order = order[_area(boxes)[order] <= rule.max_area * hw[0] * hw[1]]
    boxes, areas, uncertain = boxes[order], _area(boxes[order]), one.beyond_overlap[order].copy()
    possible = np.ones(len(order), np.bool_)
    for i in range(len(order)):
        if not possible[i]:
            continue
        rivals = _iou(boxes[i], areas[i], boxes[i + 1 :], areas[i + 1 :]) > nms_iou
        if uncertain[i]:
            uncertain[i + 1 :] |= rivals
        else:
            possible[i + 1 :] &= ~rivals
    return boxes[possible].astype(np.float32)


def _accepted(
    proposals: Proposals, labels: NDArray[np.int64], rules: Sequence[LabelRule], hw: tuple[int, int]
) -> NDArray[np.bool_]:
    """Which proposals have an area inside the picture and reach their label's threshold, bool [N]."""
    thresholds = np.array([rule.threshold for rule in rules], np.float32)
    boxes = _clipped(proposals.boxes_xyxy.astype(np.float64), hw)
    return np.asarray((proposals.scores >= thresholds[labels]) & (_area(boxes) > 0))


def _in_double(proposals: Proposals) -> Proposals:
    return replace(proposals, boxes_xyxy=proposals.boxes_xyxy.astype(np.float64))


def _clipped(boxes_xyxy: NDArray[np.float64], hw: tuple[int, int]) -> NDArray[np.float64]:
    height, width = hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height]))


def _area(boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas float64 [N]; 0 for a box whose corners are swapped."""
    return np.asarray(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0).prod(1))


def _suppressed(
    boxes: NDArray[np.float64],
    labels: NDArray[np.int64],
    shapes: NDArray[np.bool_],
    found: Proposals,
    suppression: Suppression,
) -> NDArray[np.int64]:
    """Indices of the boxes that remain, best first; across labels only shapes suppress one another."""
    kept = np.argsort(-found.scores, kind="stable")
    kept = kept[_best(boxes[kept], suppression.nms_iou, same=labels[kept])]
    rivals = kept[shapes[kept]]
    rivals = rivals[_best(boxes[rivals], _SAME_OBJECT, different=found.captions[rivals])]
    if suppression.cross_label_iou < 1:
        rivals = rivals[_best(boxes[rivals], suppression.cross_label_iou)]
    return kept[~shapes[kept] | np.isin(kept, rivals)]


def _best(
    boxes: NDArray[np.float64],
    most: float,
    same: NDArray[np.int64] | None = None,
    different: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """Which boxes are kept, bool [N]: those whose IoU with every kept box before them is at most ``most``.

    Boxes are given best first. With ``same`` [N], only boxes of equal values are compared; with ``different`` [N], only
    boxes of different values.
    """
    kept = np.ones(len(boxes), np.bool_)
    areas = _area(boxes)
    for i in range(len(boxes) - 1):
        if kept[i]:
            rivals = _iou(boxes[i], areas[i], boxes[i + 1 :], areas[i + 1 :]) > most
            if same is not None:
                rivals &= same[i + 1 :] == same[i]
            if different is not None:
                rivals &= different[i + 1 :] != different[i]
            kept[i + 1 :] &= ~rivals
    return kept


def _iou(
    box: NDArray[np.float64], area: float, others: NDArray[np.float64], areas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The IoU of a box with each of ``others``, float64 [N]."""
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    inter = np.maximum(shared, 0).prod(1)
    return np.asarray(inter / (area + areas - inter))
