"""Suggesting the confidence below which people should review labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from promptable.cvat.effort.intervals import wilson
from promptable.cvat.effort.judging.verdicts import CORRECTED, Judged
from promptable.cvat.effort.suggest.thresholds import LEAST_OBJECTS


@dataclass(frozen=True)
class ReviewThreshold:
    """The confidence ``below`` which to review labels; None if there is no suggestion, and ``why`` says the reason.

    Below it are ``caught`` of the ``errors``, which are labels that people corrected or deleted, and ``looked`` of all
    ``labels``.
    """

    below: float | None
    labels: int
    errors: int
    caught: int = 0
    looked: int = 0
    why: str = ""

    def __str__(self) -> str:
        if self.below is None:
            return f"Where to look: {self.why}."
        low, high = wilson(self.caught, self.errors)
        return (
            f"Where to look: --review-below {self.below:.2f} has {self.caught} of {self.errors} errors below it "
            f"({low:.0%} to {high:.0%}), and {self.looked} of all {self.labels} labels."
        )


def review_threshold(uploaded: Sequence[Judged], catch: float) -> ReviewThreshold:
    """The lowest confidence, in hundredths, below which at least the share ``catch`` of the errors lies."""
    known = [one for one in uploaded if one.score is not None]
    scores = np.array([one.score for one in known], np.float64)
    wrong = np.array([one.verdict in CORRECTED for one in known], np.bool_)
    count, errors = len(known), int(wrong.sum())
    if count < LEAST_OBJECTS:
        why = f"{count} reviewed labels with a confidence, and {LEAST_OBJECTS} are needed to say something"
        return ReviewThreshold(None, count, errors, why=why)
    if not errors:
        return ReviewThreshold(None, count, 0, why=f"none of {count} labels was wrong")
    for below in np.arange(101) / 100:
        caught = int((wrong & (scores < below)).sum())
        if caught >= catch * errors:
            return ReviewThreshold(float(below), count, errors, caught, int((scores < below).sum()))
    why = f"labels of confidence 1 are wrong too often: no threshold catches {catch:.0%} of the errors"
    return ReviewThreshold(None, count, errors, why=why)
