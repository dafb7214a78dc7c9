"""Counting annotations by CVAT's ``source``, for tasks without a journal."""

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
    """How many shapes, tags and tracks a label has of each source, and the scores of each source.

    Annotations with the source ``auto`` were not moved or relabelled since; those with ``semi-auto`` were, or were
    drawn with help. What was deleted, or how it was before, CVAT does not know.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)

    def add(self, label: str, one: Mapping[str, Any]) -> None:
        source = str(one["source"])
        self.counts.setdefault(label, Counter())[source] += 1
        score = one.get("score")
        if source in (AUTO, SEMI_AUTO) and score is not None and score < 1:  # CVAT gives 1 to shapes without a score
            self.scores.setdefault(source, []).append(float(score))

    def scored(self, source: str) -> str:
        """The median score of a source, for a sentence; empty if it has no scores."""
        scores = self.scores.get(source)
        return f" (median score {median(scores):.2f})" if scores else ""

    def as_json(self) -> dict[str, Any]:
        medians = {source: round(median(scores), 4) for source, scores in self.scores.items()}
        return {"labels": {name: dict(counts) for name, counts in self.counts.items()}, "median_score": medians}


def counted_sources(client: Any, frames: Frames, labels: TaskLabels, reviewed: Reviewed) -> SourceCounts:
    """The counts on the reviewed frames of a task, without replicas. ``client`` is cvat-sdk's. Raises CvatError."""
    counts = SourceCounts()
    names = {number: label.name for number, label in labels.by_id.items() if label.name not in labels.marks}
    for job in (job for job in frames.jobs if not frames.is_replica(job)):
        if looked_at := reviewed_frames(frames, job, reviewed):
            for one in _begun_on(looked_at, JobAnnotations(client, job.id).read()):
                if one["label_id"] in names:
                    counts.add(names[one["label_id"]], one)
    return counts


def _begun_on(frames: set[int], annotations: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The shapes and tags on these frames, and the tracks that begin on them."""
    for kind in ("shapes", "tags", "tracks"):
        yield from (one for one in annotations[kind] if one["frame"] in frames)
