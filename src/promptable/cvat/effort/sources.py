"""What CVAT itself tells of a task that has no journal here: who or what made each label, and its score."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from promptable.cvat.effort.judging.frames import AUTO
from promptable.cvat.effort.reviewed import Reviewed, reviewed_frames
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.frames import Frames

SEMI_AUTO = "semi-auto"


@dataclass
class SourceCounts:
    """By label and CVAT's source, how many shapes, tags and tracks there are, and the shapes' scores.

    ``auto`` is what nobody has moved or relabelled since; ``semi-auto`` is what somebody has, or drew with help.
    What was deleted, how far something was moved and what it was called before is not to be had.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)

    def add(self, label: str, one: Mapping[str, Any]) -> None:
        source = str(one["source"])
        self.counts.setdefault(label, Counter())[source] += 1
        if one.get("score") is not None and source in (AUTO, SEMI_AUTO):
            self.scores.setdefault(source, []).append(float(one["score"]))

    def scored(self, source: str) -> str:
        """The median score of a source in words; nothing where it has none."""
        scores = self.scores.get(source)
        return f" (median score {median(scores):.2f})" if scores else ""

    def as_json(self) -> dict[str, Any]:
        medians = {source: round(median(scores), 4) for source, scores in self.scores.items()}
        return {"labels": {name: dict(counts) for name, counts in self.counts.items()}, "median_score": medians}


def counted_sources(client: Any, frames: Frames, labels: TaskLabels, reviewed: Reviewed) -> SourceCounts:
    """Of the reviewed frames of a task. ``client`` is cvat-sdk's. Raises CvatError."""
    counts = SourceCounts()
    names = {number: label.name for number, label in labels.by_id.items() if label.name not in labels.marks}
    for job in frames.jobs:
        if looked_at := reviewed_frames(frames, job, reviewed):
            for one in _held(JobAnnotations(client, job.id).read(), looked_at):
                if one["label_id"] in names:
                    counts.add(names[one["label_id"]], one)
    return counts


def _held(annotations: Mapping[str, Any], looked_at: set[int]) -> Iterator[Mapping[str, Any]]:
    """What begins on one of these frames."""
    for kind in ("shapes", "tags", "tracks"):
        yield from (one for one in annotations[kind] if one["frame"] in looked_at)
