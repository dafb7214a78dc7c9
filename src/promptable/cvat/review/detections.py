"""What is doubtful in what a run of ``annotate`` found, from its journal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations, groupby

from promptable.config.labels import REVIEW
from promptable.cvat.annotate.thresholds import thresholds_of
from promptable.cvat.detection import MASK_SCORE, SYNONYM_SCORE, TAG, Detection
from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import Found, JournalReader, Run
from promptable.cvat.review.found import two_decimals
from promptable.cvat.review.queue import Doubt

_SAME_PLACE = 0.7
"""IoU of the boxes of two labels that mean one object."""
_SAME_SCORE = 0.1
_GOOD_MASK = 0.7
"""The segmenter's own estimate of a mask's IoU."""
_AGREES = 0.5
"""Another prompt of the label says so too: a score of so much of the best one's."""


def doubtful_frames(
    journal: JournalReader, run: Run, review_below: float, least_reach: float = 0.0
) -> Iterator[tuple[int, list[Doubt]]]:
    """The frames on which something is doubtful, in order, and what, the least sure first.

    Doubtful is what was uploaded with a score below ``review_below``; what was not, as far below its threshold as that
    lies above it; either within ``least_reach`` of the threshold; two labels for one object with scores within 0.1; a
    mask with a score below 0.7, or none at all; and what one prompt of a label alone finds, where others mostly agree.
    """
    thresholds = thresholds_of(run)
    agreeing = _labels_whose_words_agree(journal, run, thresholds)
    for frame, group in groupby(journal.detections(run.id), key=lambda one: one.frame):
        found = [one for one in group if one.detection.label in thresholds and one.detection.score is not None]
        reach = {label: max(review_below - threshold, least_reach) for label, threshold in thresholds.items()}
        doubts = sorted(_doubts(found, thresholds, reach, agreeing), key=lambda doubt: doubt.sure)
        if doubts:
            yield frame, doubts


def _doubts(
    found: Sequence[Found], thresholds: Mapping[str, float], reach: Mapping[str, float], agreeing: Set[str]
) -> Iterator[Doubt]:
    for one in found:
        label = one.detection.label
        if (doubt := _near_threshold(one, thresholds[label], reach[label])) is not None:
            yield doubt
        if one.detection.chosen and label in agreeing and (doubt := _synonym(one)) is not None:
            yield doubt
        if one.detection.chosen and (doubt := _mask(one)) is not None:
            yield doubt
    for one, other in combinations([one for one in found if one.detection.type != TAG], 2):
        yield from _either(one, other)


def _near_threshold(one: Found, threshold: float, reach: float) -> Doubt | None:
    """Sure is how far from the threshold, as a share of how far doubt reaches."""
    score = one.detection.stored_score
    if not abs(score - threshold) < reach:
        return None
    what = f"score {two_decimals(score)}" + (f", threshold {two_decimals(threshold)}" if threshold else "")
    said = what if one.detection.chosen else f"missing? {what}"
    sure = abs(score - threshold) / reach
    return Doubt(one.detection.label, said, sure, _box(one.detection), one.id, not one.detection.chosen)


def _labels_whose_words_agree(journal: JournalReader, run: Run, thresholds: Mapping[str, float]) -> frozenset[str]:
    """Labels of most of whose uploaded objects another prompt says so too: where none does, that says something.

    Where the prompts are too many for one caption, those of a label may be in several, and never agree.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    for one in journal.detections(run.id):
        if one.detection.chosen and one.detection.label in thresholds and one.detection.score is not None:
            counts[one.detection.label, _agreement(one) >= 1] += 1
    return frozenset(label for label in thresholds if counts[label, True] > counts[label, False])


def _synonym(one: Found) -> Doubt | None:
    """Sure is how near the best other prompt's score comes to agreeing; 0 where it is not even near."""
    if (agreement := _agreement(one)) >= 1:
        return None
    score = two_decimals(one.detection.stored_score)
    synonym = two_decimals(float(one.detection.attributes.get(SYNONYM_SCORE, 0.0)))
    what = f"only one of its words: score {score}, the next word's {synonym}"
    return Doubt(one.detection.label, what, agreement, _box(one.detection), one.id)


def _agreement(one: Found) -> float:
    """The best other prompt's score, as a share of what agrees with the best one's."""
    enough = _AGREES * one.detection.stored_score
    return float(one.detection.attributes.get(SYNONYM_SCORE, 0.0)) / enough if enough else 1.0


def _mask(one: Found) -> Doubt | None:
    """Sure is the segmenter's score, as a share of what a mask should have; 0 where it found none."""
    attributes, box = one.detection.attributes, _box(one.detection)
    if attributes.get(REVIEW) == "true":
        return Doubt(one.detection.label, "no mask was found: its box is filled", 0.0, box, one.id)
    score = float(attributes.get(MASK_SCORE, 1.0))
    what = f"the mask's score is {two_decimals(score)}"
    return Doubt(one.detection.label, what, score / _GOOD_MASK, box, one.id) if score < _GOOD_MASK else None


def _either(one: Found, other: Found) -> Iterator[Doubt]:
    """Two labels for one object, at least one of which was uploaded; about that with the higher score."""
    best, second = sorted((one.detection, other.detection), key=lambda each: -each.stored_score)
    apart = best.stored_score - second.stored_score
    if best.label == second.label or not best.chosen or apart >= _SAME_SCORE:
        return
    if box_iou(_position(best).box, _position(second).box) >= _SAME_PLACE:
        what = f"or {second.label}? scores {two_decimals(best.stored_score)} and {two_decimals(second.stored_score)}"
        number = one.id if one.detection is best else other.id
        yield Doubt(best.label, what, apart / _SAME_SCORE, _box(best), number)


def _position(one: Detection) -> Position:
    return Position(one.type, tuple(one.points))


def _box(one: Detection) -> Sequence[float] | None:
    return None if one.type == TAG else _position(one).box.tolist()
