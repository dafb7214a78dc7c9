"""The scores of tags on every frame, from the runs of ``annotate``."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from promptable.config.labels import LabelType
from promptable.cvat.annotate.options import COMMAND as ANNOTATE
from promptable.cvat.annotate.options import FLOOR
from promptable.cvat.annotate.thresholds import is_through_cvat, thresholds_of
from promptable.cvat.detection import TAG
from promptable.cvat.journal import JournalReader, Run

_LEAST, _MOST = 0.01, 0.99
"""Scores are clipped to this range, so that no single frame decides."""
_UNKNOWN_THRESHOLD = 0.5
"""Stands for the threshold of a function that was called through CVAT, which does not give it."""


@dataclass(frozen=True)
class TagScores:
    """A tag's ``scores`` in [0, 1] on the frames that runs asked about, by frame; None if no score is known.

    ``threshold`` is the score from which on the tag was set. ``chances`` stand for unknown scores.
    """

    label: str
    threshold: float
    scores: Mapping[int, float | None]
    chances: Mapping[int, float]

    def evidence(self, frames: Sequence[int]) -> list[float]:
        """For each of these frames logit(score) - logit(threshold); 0 for a frame that no run asked about.

        The score is taken for the probability that the tag is right.
        """
        neutral = _logit(self.threshold)
        return [_logit(self._chance(n)) - neutral if n in self.scores else 0.0 for n in frames]

    def _chance(self, frame: int) -> float:
        score = self.scores[frame]
        return self.chances[frame] if score is None else score


def tag_scores(journal: JournalReader) -> list[TagScores]:
    """The scores of every tag that runs looked for. Of each frame the last run counts, and the highest of its scores.

    An unknown score is taken for the middle of the interval in which it lies. If the tag was not found, that is from 0
    to the lowest score that the run could have answered; if it was found, from the threshold to 1.
    """
    scores: dict[str, dict[int, float | None]] = defaultdict(dict)
    chances: dict[str, dict[int, float]] = defaultdict(dict)
    thresholds: dict[str, float] = {}
    for run in (run for run in journal.runs() if run.command == ANNOTATE and run.state != "undone"):
        tags = _tags(run)
        thresholds |= tags
        asked = journal.frames(run.id, "asked")
        for label, threshold in tags.items():
            lowest = threshold if is_through_cvat(run) else min(FLOOR, threshold)
            scores[label].update(dict.fromkeys(asked))
            chances[label].update(dict.fromkeys(asked, lowest / 2))
        for frame, label, score in _found(journal, run, tags):
            if score is None:
                chances[label][frame] = (1 + tags[label]) / 2
            else:
                scores[label][frame] = max(score, scores[label].get(frame) or 0.0)
    return [TagScores(label, thresholds[label], scores[label], chances[label]) for label in scores]


def _found(journal: JournalReader, run: Run, tags: Collection[str]) -> Iterator[tuple[int, str, float | None]]:
    """(frame, label, score) of the tags of these labels that a run has found."""
    for one in journal.detections(run.id):
        if one.detection.type == TAG and one.detection.label in tags:
            yield one.frame, one.detection.label, one.detection.score


def _tags(run: Run) -> dict[str, float]:
    """The thresholds of the labels of type tag that a run looked for, by name; without those that mark frames."""
    thresholds = thresholds_of(run)
    entries = [entry for entry in run.model.get("labels", ()) if entry.get("type") == LabelType.TAG]
    return {str(one["name"]): thresholds[one["name"]] or _UNKNOWN_THRESHOLD for one in entries if not one.get("marks")}


def _logit(share: float) -> float:
    share = min(max(share, _LEAST), _MOST)
    return math.log(share / (1 - share))
