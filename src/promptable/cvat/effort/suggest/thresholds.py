"""Suggesting a label's threshold: the best one on the reviewed frames, and its F1 on frames not used to choose it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.effort.intervals import wilson
from promptable.cvat.effort.suggest.evidence import Evidence, LabelOnFrame
from promptable.cvat.plural import counted

LEAST_OBJECTS = 30
"""Fewer reviewed objects of a label give no suggestion."""
FOLDS = 5
"""Fewer reviewed frames give none either: each block needs a frame."""
RESAMPLES = 1000
_RESAMPLES_OF_FOLD = 200
_AT_ONCE = 100
"""Resamples that are drawn at once, to bound memory."""
_SEED = 0


@dataclass(frozen=True)
class Counts:
    """How many answers are right and wrong, by frame and threshold, [F, T], and how many objects there are, [F]."""

    right: NDArray[np.float64]
    wrong: NDArray[np.float64]
    objects: NDArray[np.float64]

    def f1(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """F1 by threshold, [..., T]; 0 without objects and answers. ``weights`` [..., F] is how often frames count."""
        right, everything = weights @ self.right, weights @ (self.right + self.wrong + self.objects[:, None])
        return np.asarray(np.divide(2 * right, everything, out=np.zeros_like(right), where=everything > 0))

    def of(self, frames: NDArray[np.bool_]) -> "Counts":
        """The counts of the chosen ``frames``, bool [F]."""
        return Counts(self.right[frames], self.wrong[frames], self.objects[frames])

    def precision(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Precision by threshold, [..., T]; 0 without answers. ``weights`` as for ``f1``."""
        right, answered = weights @ self.right, weights @ (self.right + self.wrong)
        return np.asarray(np.divide(right, answered, out=np.zeros_like(right), where=answered > 0))


@dataclass(frozen=True)
class Goal:
    """What a threshold is chosen for: the best F1, or the best recall with at least this ``precision``."""

    precision: float | None = None

    def __str__(self) -> str:
        return "the best F1" if self.precision is None else f"the most found at a precision of {self.precision:g}"

    def best(self, counts: Counts, weights: NDArray[np.float64], at_now: int) -> list[int]:
        """The index of the best threshold for each row of weights [R, F]; rows without one are left out.

        ``at_now`` is the index of the present threshold.
        """
        if self.precision is None:
            return [_middle_of_best(row, at_now) for row in counts.f1(weights)]
        enough = counts.precision(weights) >= self.precision
        return [int(row.argmax()) for row in enough if row.any()]

    def settled(self, counts: Counts, at: int) -> int:
        """The index of the first threshold from ``at`` on that has the precision on all frames; else of the last one.

        For F1 it is ``at`` itself.
        """
        if self.precision is None:
            return at
        enough = np.flatnonzero(counts.precision(np.ones(len(counts.objects))) >= self.precision)
        return int(enough[min(int(np.searchsorted(enough, at)), len(enough) - 1)])


@dataclass(frozen=True)
class Suggestion:
    """A suggested ``threshold``. If no better one is known, it is the present one, ``now``, and ``why`` says why.

    ``f1_now`` and ``f1_chosen`` are F1 at the present threshold and at chosen ones, on frames that were not used to
    choose them. ``interval`` contains 95% of the thresholds that are best on resampled frames. At ``threshold``,
    ``right`` of ``answered`` detections are right.
    """

    label: str
    now: float
    threshold: float
    objects: int
    why: str = ""
    f1_now: float | None = None
    f1_chosen: float | None = None
    interval: tuple[float, float] | None = None
    right: int = 0
    answered: int = 0

    def __str__(self) -> str:
        stays = f"threshold stays {self.now:.2f}: {self.why}"
        if self.f1_now is None or self.f1_chosen is None:
            return f"{stays}."
        change = stays if self.why else f"threshold {self.now:.2f} -> {self.threshold:.2f}"
        low, high = wilson(self.right, self.answered)
        drawn = "" if self.interval is None else f"; resampled: {self.interval[0]:.2f} to {self.interval[1]:.2f}"
        return (
            f"{change}{drawn}. {counted(self.objects, 'reviewed object')}: "
            f"F1 now {self.f1_now:.2f}, then {self.f1_chosen:.2f}; "
            f"{self.right} of {self.answered} answers right at {self.threshold:.2f} ({low:.0%} to {high:.0%})."
        )


def suggested(evidence: Evidence, label: str, goal: Goal) -> Suggestion:
    """The suggestion for a label."""
    now, objects = evidence.threshold(label), evidence.reviewed[label]
    if why := _too_few(objects, len(evidence.frames)):
        return Suggestion(label, now, now, objects, why)
    grid = thresholds(evidence.floor(label), now)
    counts = counts_of([frame[label] for frame in evidence.frames], grid)
    at_now = int(np.searchsorted(grid, now - 1e-9))
    if not goal.best(counts, np.ones((1, len(counts.objects))), at_now):
        return Suggestion(label, now, now, objects, f"no threshold has a precision of {goal.precision:g} here")
    best = _resampled(counts, at_now, goal, RESAMPLES)
    f1_now, f1_chosen = _on_other_frames(counts, at_now, goal)
    gains = goal.precision is not None or f1_chosen > f1_now
    kept = goal.settled(counts, _middle(best)) if gains else at_now
    low, high = np.quantile(grid[best], (0.025, 0.975))
    return Suggestion(
        label,
        now,
        threshold=float(grid[kept]),
        objects=objects,
        why="" if gains else "no threshold does better on frames that it was not chosen on",
        f1_now=f1_now,
        f1_chosen=f1_chosen,
        interval=(float(low), float(high)),
        right=int(counts.right[:, kept].sum()),
        answered=int((counts.right + counts.wrong)[:, kept].sum()),
    )


def _too_few(objects: int, frames: int) -> str:
    """Why so few reviewed objects and frames give no suggestion; empty if they are enough."""
    if objects < LEAST_OBJECTS:
        return f"{counted(objects, 'reviewed object')}, and {LEAST_OBJECTS} are needed to say something"
    return f"{counted(frames, 'reviewed frame')}, and {FOLDS} are needed to say something" if frames < FOLDS else ""


def thresholds(floor: float, now: float) -> NDArray[np.float64]:
    """The thresholds that are tried: hundredths from ``floor`` on, and the present one, in ascending order."""
    hundredths = np.arange(ceil(floor * 100 - 1e-6), 100) / 100
    return np.unique([*np.round(hundredths, 4), now])


def counts_of(frames: Sequence[LabelOnFrame], grid: NDArray[np.float64]) -> Counts:
    """The counts at each threshold of ``grid`` [T]."""
    right = [(one.scores[one.right][:, None] >= grid).sum(0) for one in frames]
    wrong = [(one.scores[~one.right][:, None] >= grid).sum(0) for one in frames]
    objects = np.array([one.objects for one in frames], np.float64)
    return Counts(np.array(right, np.float64), np.array(wrong, np.float64), objects)


def _middle_of_best(values: NDArray[np.float64], at_now: int) -> int:
    """The index of the best value: ``at_now`` if it is one, else the middle of the nearest run of best values."""
    best = np.flatnonzero(values >= values.max() - 1e-12)
    if at_now in best:
        return at_now
    rows = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    nearest = min(rows, key=lambda row: int(np.abs(row - at_now).min()))
    return int(nearest[len(nearest) // 2])


def _resampled(counts: Counts, at_now: int, goal: Goal, resamples: int) -> list[int]:
    """The index of the best threshold in each bootstrap resample of the frames.

    Their mean does better on other frames than the best threshold on these frames, since F1 has many small peaks
    (``toy.evaluate_suggestions`` measures it).
    """
    frames = len(counts.objects)
    draw = np.random.default_rng(_SEED)
    best: list[int] = []
    for _ in range(resamples // _AT_ONCE):
        drawn = draw.multinomial(frames, np.full(frames, 1 / frames), _AT_ONCE)
        best += goal.best(counts, drawn.astype(np.float64), at_now)
    return best


def _middle(best: Sequence[int]) -> int:
    return round(float(np.mean(best)))


def _on_other_frames(counts: Counts, at_now: int, goal: Goal) -> tuple[float, float]:
    """F1 at the present threshold, and F1 where each block of frames has the threshold chosen on the other blocks."""
    frames = len(counts.objects)
    block = np.arange(frames) * FOLDS // frames
    right = wrong = 0.0
    for number in range(FOLDS):
        best = _resampled(counts.of(block != number), at_now, goal, _RESAMPLES_OF_FOLD)
        at = _middle(best) if best else at_now
        own = counts.of(block == number)
        right, wrong = right + own.right[:, at].sum(), wrong + own.wrong[:, at].sum()
    total = right + wrong + counts.objects.sum()
    return float(counts.f1(np.ones(frames))[at_now]), float(2 * right / total) if total else 0.0
