"""What the reviewed frames say about the detections of runs: which are right, and how many objects were missed."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptable.cvat.annotate.detector import DEFAULT_THRESHOLD
from promptable.cvat.annotate.options import FLOOR
from promptable.cvat.annotate.thresholds import thresholds_of
from promptable.cvat.detection import TAG, Detection
from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.judging.matching import LEAST_IOU, one_to_one
from promptable.cvat.effort.judging.verdicts import Judged, Verdict
from promptable.cvat.effort.judging.written import known_score
from promptable.cvat.geometry.overlap import iou
from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import Run


@dataclass(frozen=True)
class LabelOnFrame:
    """A label on a frame: the ``scores`` [N] of its detections, which of them are ``right`` [N], and how many
    ``objects`` there are."""

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    objects: int


_NOTHING = LabelOnFrame(np.zeros(0), np.zeros(0, np.bool_), 0)
"""Shared by most labels on most frames, to save memory."""


@dataclass
class Evidence:
    """Evidence from runs that asked the same model for the same labels; ``run`` is the last of them.

    ``frames`` have the labels of each reviewed frame, by name. ``reviewed`` counts the reviewed objects of each label,
    ``uploaded`` are the verdicts on what runs wrote.
    """

    run: Run
    frames: list[Mapping[str, LabelOnFrame]] = field(default_factory=list)
    reviewed: Counter[str] = field(default_factory=Counter)
    uploaded: list[Judged] = field(default_factory=list)

    @property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """The entries of the labels: ``name``, ``type``, ``threshold``, and ``marks`` for tags that mark frames."""
        return list(self.run.model.get("labels", ()))

    def threshold(self, label: str) -> float:
        """The score from which on the run has answered a label."""
        return thresholds_of(self.run, unsaid=DEFAULT_THRESHOLD)[label]

    def floor(self, label: str) -> float:
        """The lowest threshold that the evidence can judge: below it, detections are unknown."""
        return min(FLOOR, self.threshold(label)) if self.run.model.get("rules") else self.threshold(label)

    def add(self, frame: JudgedFrame) -> None:
        self.reviewed.update(one.label for one in frame.judged)
        self.uploaded += [one for one in frame.judged if one.verdict is not Verdict.ADDED]
        found: dict[str, list[Detection]] = defaultdict(list)
        for one in frame.found:
            if known_score(one.detection.score) is not None:
                found[one.detection.label].append(one.detection)
        self.frames.append({entry["name"]: _of_label(entry, found[entry["name"]], frame) for entry in self.entries})


def _of_label(entry: Mapping[str, Any], found: Sequence[Detection], frame: JudgedFrame) -> LabelOnFrame:
    name = entry["name"]
    ordered = sorted(found, key=lambda one: -one.stored_score)
    scores = np.array([one.stored_score for one in ordered], np.float64)
    if entry.get("type") == TAG:
        return LabelOnFrame(scores, np.full(len(ordered), name in frame.tags), int(name in frame.tags))
    truth = [place for label, place in frame.places if label == name]
    if not (ordered or truth):
        return _NOTHING
    right = one_to_one(len(ordered), len(truth), lambda i, j: _likeness(ordered[i], truth[j], -i))
    return LabelOnFrame(scores, np.array([i in right for i in range(len(ordered))], np.bool_), len(truth))


def _likeness(one: Detection, truth: Position, rank: int) -> tuple[int, float]:
    """For ``one_to_one``: by ``rank``, then by IoU, which is 0 if they are different objects.

    The detection with the highest score is matched first, so that lower ones do not change what is right at a
    threshold.
    """
    overlap = iou(Position(one.type, tuple(map(float, one.points))), truth) if one.points else 0.0
    return rank, overlap if overlap >= LEAST_IOU else 0.0


class EvidenceByModel:
    """Evidence by model and labels: scores of other models, or for other prompts, cannot be compared.

    A frame that two jobs share counts in the first one only.
    """

    def __init__(self) -> None:
        self._groups: dict[str, Evidence] = {}
        self._known: set[tuple[int, int]] = set()

    def add(self, frame: JudgedFrame, run: Run) -> None:
        """Add a frame; ``run`` is the run of ``frame.run``."""
        if (frame.task, frame.number) in self._known:
            return
        self._known.add((frame.task, frame.number))
        labels = [{**entry, "threshold": None} for entry in run.options.get("labels") or run.model.get("labels", ())]
        key = json.dumps([run.model.get("model"), run.model.get("rules"), labels], sort_keys=True)
        group = self._groups.setdefault(key, Evidence(run))
        group.run = max(group.run, run, key=lambda one: one.begun)
        group.add(frame)

    def latest(self) -> Evidence | None:
        """The evidence with the last run; None if no run was reviewed."""
        return max(self._groups.values(), key=lambda group: group.run.begun, default=None)
