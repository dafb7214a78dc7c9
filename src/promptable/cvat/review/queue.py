"""The review queue of a run, from its journal."""

from collections.abc import Sequence
from dataclasses import dataclass

from promptable.cvat.journal import JournalReader

BINS = 100
"""Of a histogram: a hundredth of confidence each."""
_MOST_FRAMES = 2000
"""More than anybody looks at in a day."""


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


@dataclass(frozen=True)
class QueuedFrame:
    """A frame of a job with something to review: how much, and the least sure of it."""

    job: int
    frame: int
    count: int
    weakest: float
    labels: Sequence[str]


@dataclass(frozen=True)
class Queue:
    """The labels by how much of them is to review, and the frames, the least sure first; ``frames_in_all`` of them."""

    labels: Sequence[LabelFound]
    frames: Sequence[QueuedFrame]
    frames_in_all: int
    review_below: float


def review_queue(journal: JournalReader, run: int, review_below: float) -> Queue:
    """What a run found and what of it people should look at: all that is below ``review_below``."""
    histograms: dict[str, tuple[list[int], list[int]]] = {}
    for label, uploaded, number, count in journal.histogram(run, BINS):
        histograms.setdefault(label, ([0] * BINS, [0] * BINS))[0 if uploaded else 1][number] += count
    labels = [LabelFound(name, *counts) for name, counts in histograms.items()]
    labels.sort(key=lambda label: (-label.below(review_below), -label.found, label.name))
    frames = [QueuedFrame(*row) for row in journal.weakest_frames(run, review_below, _MOST_FRAMES)]
    return Queue(labels, frames, journal.frames_below(run, review_below), review_below)
