"""The advice from the reviewed frames, as a value and as the text of a labels.yaml."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from promptable.cvat.effort.suggest.evidence import Evidence
from promptable.cvat.effort.suggest.review_threshold import ReviewThreshold, review_threshold
from promptable.cvat.effort.suggest.thresholds import FOLDS, RESAMPLES, Goal, Suggestion, suggested
from promptable.cvat.journal import Run

OPENING = "# promptable effort:"
"""The beginning of the text."""
_WIDTH = 10_000
"""Characters of a line: none is wrapped."""
_KEYS = ("name", "type", "threshold", "marks")
_PROMPTS_UNKNOWN = (
    "# The run asked for the function's own labels, whose prompts are not known here: give the list that it was\n"
    "# deployed with as --labels FILE, or its labels are looked for by their names.\n"
)


@dataclass(frozen=True)
class Advice:
    """Suggested thresholds, and the confidence below which to review; from so many reviewed ``frames``.

    ``entries`` are the labels as in a labels.yaml. ``prompts_known`` is False if they lack the prompts: the run asked
    for the function's own labels, of which only names, types and thresholds are known.
    """

    goal: Goal
    frames: int
    suggestions: Sequence[Suggestion]
    review: ReviewThreshold
    entries: Sequence[Mapping[str, Any]]
    prompts_known: bool

    def to_yaml(self) -> str:
        """A labels.yaml with the suggested thresholds; its comments say what they are based on."""
        return self._head() + "".join(self._entries())

    def _head(self) -> str:
        return (
            f"{OPENING} thresholds for {self.goal}, from {self.frames} reviewed frames.\n"
            "# F1 is of objects found with an IoU of 0.5, on frames that the threshold was not chosen on, in "
            f"{FOLDS} blocks.\n# Intervals are of 95%: of thresholds by {RESAMPLES} bootstrap resamples of the frames, "
            f"of shares by Wilson.\n# {self.review}\n{'' if self.prompts_known else _PROMPTS_UNKNOWN}"
        )

    def _entries(self) -> Iterator[str]:
        by_label = {one.label: one for one in self.suggestions}
        for entry in self.entries:
            one = by_label.get(entry["name"])
            changed = entry if one is None or one.why else {**entry, "threshold": one.threshold}
            yield "" if one is None else f"# {one}\n"
            yield yaml.safe_dump([changed], sort_keys=False, allow_unicode=True, default_flow_style=None, width=_WIDTH)


def advise(evidence: Evidence, labels: Sequence[Mapping[str, Any]] | None, goal: Goal, catch: float) -> Advice:
    """The advice from the evidence. ``labels`` are the entries of the function's labels.yaml, None if they are unknown.

    ``catch`` is the share of errors that people are to find by reviewing labels below a confidence.
    """
    written = labels or evidence.run.options.get("labels")
    named = [{key: entry[key] for key in _KEYS if entry.get(key) is not None} for entry in evidence.entries]
    asked = [entry["name"] for entry in evidence.entries if not entry.get("marks")]
    entries = _as_asked(written or named, asked, evidence.run)
    suggestions = [suggested(evidence, name, goal) for name in asked]
    review = review_threshold(evidence.uploaded, catch)
    return Advice(goal, len(evidence.frames), suggestions, review, entries, prompts_known=bool(written))


def _as_asked(entries: Sequence[Mapping[str, Any]], asked: Sequence[str], run: Run) -> Sequence[Mapping[str, Any]]:
    """The entries; if the run had one threshold for all labels, that of each label it ``asked`` for is this one."""
    least = run.options.get("min_confidence")
    if least is None:
        return entries
    return [{**entry, "threshold": least} if entry["name"] in asked else entry for entry in entries]
