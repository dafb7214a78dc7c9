"""What runs found of each label, by confidence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptable.cvat.journal import JournalReader

BINS = 100
"""Of a histogram: a hundredth of confidence each."""


@dataclass(frozen=True)
class LabelFound:
    """What was found of a label: how many objects are in CVAT by confidence, and how many only in the journal."""

    name: str
    uploaded: Sequence[int]
    known: Sequence[int]

    @property
    def found(self) -> int:
        return sum(self.uploaded)

    def below(self, confidence: float) -> int:
        """How many that are in CVAT lie below a confidence."""
        return sum(self.uploaded[: round(confidence * BINS)])

    @property
    def median(self) -> float:
        """The confidence that half of them reach, to a hundredth; 0 without any."""
        passed = 0
        for number, count in enumerate(self.uploaded):
            passed += count
            if count and 2 * passed >= self.found:
                return number / BINS
        return 0.0


def labels_found(journal: JournalReader, runs: Iterable[int], review_below: float) -> list[LabelFound]:
    """The labels of some runs, those with the most to review first."""
    rows = [
        (label, int(not up), bin_, count) for run in runs for label, up, bin_, count in journal.histogram(run, BINS)
    ]
    return counted(rows, review_below)


def counted(rows: Iterable[tuple[str, int, int, int]], review_below: float) -> list[LabelFound]:
    """From rows of label, 0 for what is in CVAT and 1 for what is not, bin, and how many."""
    histograms: dict[str, tuple[list[int], list[int]]] = {}
    for label, where, number, count in rows:
        histograms.setdefault(label, ([0] * BINS, [0] * BINS))[where][number] += count
    labels = [LabelFound(name, *counts) for name, counts in histograms.items()]
    return sorted(labels, key=lambda label: (-label.below(review_below), -label.found, label.name))


def together(parts: Iterable[Iterable[LabelFound]], review_below: float) -> list[LabelFound]:
    """The labels of several tasks by their names."""
    return counted(
        (
            (label.name, where, number, count)
            for labels in parts
            for label in labels
            for where, counts in enumerate((label.uploaded, label.known))
            for number, count in enumerate(counts)
        ),
        review_below,
    )
