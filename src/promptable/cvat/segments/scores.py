"""How sure the runs of ``annotate`` were, frame by frame, that a picture shows what a tag says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptable.config.labels import LabelType
from promptable.cvat.annotate.options import COMMAND as ANNOTATE
from promptable.cvat.annotate.options import FLOOR
from promptable.cvat.annotate.thresholds import thresholds_of
from promptable.cvat.detection import TAG
from promptable.cvat.journal import JournalReader, Run

_LEAST, _MOST = 0.01, 0.99
_EVEN = 0.5
"""The threshold of a function that was asked through CVAT, which does not say it."""


@dataclass(frozen=True)
class TagScores:
    """A tag's ``scores`` in [0, 1] on the frames that runs asked about, None below the floor; and its ``threshold``."""

    label: str
    threshold: float
    scores: Mapping[int, float | None]

    def evidence(self, frames: Sequence[int]) -> list[float]:
        """For each of these frames logit(score) - logit(threshold), 0 of one that nobody asked about.

        The score is taken for the chance that the tag is right; where nothing was found down to the floor, for half of
        the floor.
        """
        even, low = _logit(self.threshold), min(FLOOR, self.threshold) / 2
        return [_logit(low if (s := self.scores[n]) is None else s) - even if n in self.scores else 0.0 for n in frames]


def tag_scores(journal: JournalReader) -> list[TagScores]:
    """Of every tag that runs were asked for; of each frame the last run's answer, the best one of its detections.

    What was found with a score that nobody says counts as certain.
    """
    found: dict[str, dict[int, float | None]] = {}
    thresholds: dict[str, float] = {}
    for run in journal.runs():
        if run.command != ANNOTATE or run.state == "undone":
            continue
        tags = _tags(run)
        thresholds |= tags
        for label in tags:
            found.setdefault(label, {}).update(dict.fromkeys(journal.frames(run.id, "asked")))
        for one in journal.detections(run.id):
            label, score = one.detection.label, one.detection.stored_score
            if one.detection.type == TAG and label in tags:
                found[label][one.frame] = max(score, found[label].get(one.frame) or 0.0)
    return [TagScores(label, thresholds[label], scores) for label, scores in found.items()]


def _tags(run: Run) -> dict[str, float]:
    """The labels of type tag that a run looked for, without those that mark frames, and their thresholds."""
    thresholds = thresholds_of(run)
    entries = [entry for entry in run.model.get("labels", ()) if entry.get("type") == LabelType.TAG]
    return {str(one["name"]): thresholds[one["name"]] or _EVEN for one in entries if not one.get("marks")}


def _logit(share: float) -> float:
    share = min(max(share, _LEAST), _MOST)
    return math.log(share / (1 - share))
