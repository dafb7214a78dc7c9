"""What runs found of each label, by confidence."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from promptable.cvat.journal import JournalReader

BINS = 100
"""Of a histogram: a hundredth of confidence each."""


def two_decimals(confidence: float) -> str:
    """In words: cut, not rounded, so that what misses a threshold does not read as if it reached it.

    >>> two_decimals(0.3499), two_decimals(0.4)
    ('0.34', '0.40')
    """
    return f"{int(confidence * BINS + 1e-6) / BINS:.2f}"


@dataclass(frozen=True)
class LabelFound:
    """What was found of a label: how many objects are in CVAT by confidence, and how many only in the journal.

    Of ``unscored`` more in CVAT nobody says how sure they are.
    """

    name: str
    uploaded: Sequence[int]
    known: Sequence[int]
    unscored: int = 0

    @property
    def found(self) -> int:
        return self._scored + self.unscored

    @property
    def _scored(self) -> int:
        return sum(self.uploaded)

    def below(self, confidence: float) -> int:
        """How many that are in CVAT lie below a confidence."""
        return sum(self.uploaded[: round(confidence * BINS)])

    @property
    def median(self) -> float | None:
        """The confidence that half of those with one reach, to a hundredth; None without any."""
        passed = 0
        for number, count in enumerate(self.uploaded):
            passed += count
            if count and 2 * passed >= self._scored:
                return number / BINS
        return None

    def cells(self, review_below: float) -> tuple[int, int | str, str]:
        """For a table: how many were found, how many are to review, and the median; "-" for what nobody says."""
        if self.median is None:
            return self.found, "-", "-"
        return self.found, self.below(review_below), f"{self.median:.2f}"


def labels_found(
    journal: JournalReader, frames_of: Mapping[int, Collection[int] | None], review_below: float
) -> list[LabelFound]:
    """The labels of runs on the frames that are given for each, None for all; those with the most to review first."""
    rows = [
        (label, int(not up), bin_, count)
        for run, frames in frames_of.items()
        for label, up, bin_, count in journal.histogram(run, BINS, frames)
    ]
    return counted(rows, review_below)


def counted(rows: Iterable[tuple[str, int, int | None, int]], review_below: float) -> list[LabelFound]:
    """From rows of label, 0 for what is in CVAT and 1 for what is not, bin (None without a score), and how many."""
    histograms: dict[str, tuple[list[int], list[int]]] = {}
    unscored: Counter[str] = Counter()
    for label, where, number, count in rows:
        histogram = histograms.setdefault(label, ([0] * BINS, [0] * BINS))
        if number is not None:
            histogram[where][number] += count
        elif not where:
            unscored[label] += count
    labels = [LabelFound(name, *counts, unscored[name]) for name, counts in histograms.items()]
    return sorted(labels, key=lambda label: (-label.below(review_below), -label.found, label.name))


def together(parts: Iterable[Iterable[LabelFound]], review_below: float) -> list[LabelFound]:
    """The labels of several tasks by their names."""
    return counted((row for labels in parts for label in labels for row in _rows(label)), review_below)


def _rows(label: LabelFound) -> Iterator[tuple[str, int, int | None, int]]:
    """What ``counted`` made it from."""
    yield label.name, 0, None, label.unscored
    for where, counts in enumerate((label.uploaded, label.known)):
        yield from ((label.name, where, number, count) for number, count in enumerate(counts))
