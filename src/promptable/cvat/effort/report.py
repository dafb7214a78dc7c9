"""The report of ``effort``: its sentences and its JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptable.cvat.effort.figures import Acceptance, Effort, LabelEffort, Saved, acceptance, by_label
from promptable.cvat.effort.judging.task import NotJudged
from promptable.cvat.effort.judging.tracks import JudgedTrack
from promptable.cvat.effort.judging.verdicts import EDITED_IOU, MINOR_IOU, Judged, Verdict
from promptable.cvat.effort.sources import SourceCounts
from promptable.cvat.effort.suggest.advice import Advice
from promptable.cvat.plural import counted

_VERSION = 1
"""The version of the JSON: raised when a key changes its meaning or is removed."""


@dataclass
class Report:
    """The report on a task, or on the tasks of a project.

    ``reviewed`` says in words which frames count. ``sources`` are the counts of tasks without a journal, by task id.
    """

    title: str
    reviewed: str
    effort: Effort = field(default_factory=Effort)
    not_judged: NotJudged = field(default_factory=NotJudged)
    sources: dict[int, SourceCounts] = field(default_factory=dict)
    saved: Saved | None = None
    advice: Advice | None = None

    def sentences(self) -> list[str]:
        """Sentences that explain the figures: which frames count, what does not, what CVAT says, and the time saved."""
        return [*self._about_frames(), *self._about_sources(), *self._about_time()]

    def _about_frames(self) -> Iterator[str]:
        left, effort = self.not_judged, self.effort
        masks = f", {effort.mask_frames} with masks of propagate" if effort.mask_frames else ""
        tracks = f", {counted(len(effort.tracks), 'track')}" if effort.tracks else ""
        yield f"reviewed: {self.reviewed}, {effort.frames} of them with a detector's answer{masks}{tracks}"
        if left.frames:
            objects, frames = counted(left.objects.total(), "automatic label"), counted(left.frames, "frame")
            yield f"not reviewed: {objects} on {frames}"
        if left.frames and not effort.frames + effort.mask_frames:
            yield "--reviewed 0-99 (or all) says which frames people have looked at, where states of jobs do not"
        for name, count in left.lost_labels.items():
            yield f"not counted: {count} of {name}, which is no label of the task any more"
        if left.taken_back:
            runs = [f"task {task}: {', '.join(map(str, runs))}" for task, runs in left.taken_back.items()]
            yield f"not counted: runs that were taken back ({'; '.join(runs)})"

    def _about_sources(self) -> Iterator[str]:
        for task, sources in self.sources.items():
            counts = sum(sources.counts.values(), Counter[str]())
            listed = ", ".join(f"{n} {source}{sources.scored(source)}" for source, n in counts.most_common())
            yield (
                f"task {task} has no journal here, so only CVAT's own word on what is there: {listed or 'nothing'}. "
                "What was deleted, and how far something was moved, is not to be had"
            )

    def _about_time(self) -> Iterator[str]:
        if self.saved is not None:
            yield (
                f"by the seconds given: drawing all of it {self.saved.drawing:.0f} s, correcting "
                f"{self.saved.correcting:.0f} s, saved {self.saved.seconds:.0f} s; looking is not counted"
            )

    def to_json(self) -> str:
        """The report for machines."""
        return json.dumps(self._figures(), indent=1, ensure_ascii=False)

    def _figures(self) -> dict[str, Any]:
        effort, judged = self.effort, self.effort.judged
        return {
            "version": _VERSION,
            "title": self.title,
            "reviewed": {"what": self.reviewed, "frames": effort.frames, "mask_frames": effort.mask_frames},
            "not_reviewed": {"frames": self.not_judged.frames, "objects": dict(self.not_judged.objects)},
            "label_removed_since": dict(self.not_judged.lost_labels),
            "runs_taken_back": [run for runs in self.not_judged.taken_back.values() for run in runs],
            "thresholds": {"minor_edit": MINOR_IOU, "edited": EDITED_IOU},
            "total": _label(effort.total()),
            "labels": [_label(label) for label in effort.labels()],
            "tracks": [_label(label) for label in by_label(effort.tracks)],
            "relabelled": [{"from": one, "to": other, "count": count} for one, other, count in effort.mistaken()],
            "acceptance": {
                "total": _bins(acceptance(judged)),
                "labels": {label.name: _bins(acceptance(effort.of_label(label.name))) for label in effort.labels()},
            },
            "worst_frames": [
                {"task": frame.task, "job": frame.job, "frame": frame.number, "verdicts": _counts(frame.judged)}
                for frame in effort.worst_frames()
            ],
            "worst_tracks": [_track(track) for track in effort.worst_tracks],
            "saved": self.saved and {**vars(self.saved), "seconds": self.saved.seconds},
            "advice": self.advice and _advice(self.advice),
            "without_journal": {str(task): counts.as_json() for task, counts in self.sources.items()},
        }


def _advice(advice: Advice) -> dict[str, Any]:
    thresholds = [vars(one) for one in advice.suggestions]
    return {"goal": str(advice.goal), "frames": advice.frames, "labels": thresholds, "review": vars(advice.review)}


def _label(label: LabelEffort) -> dict[str, Any]:
    counts = {_key(verdict): label.counts.get(verdict, 0) for verdict in Verdict}
    return {"name": label.name, "automatic": label.automatic, "accepted": label.accepted, **counts}


def _track(track: JudgedTrack) -> dict[str, Any]:
    one = track.judged
    corrected = [{"frame": at.frame, "iou": round(at.iou, 4)} for at in track.corrected]
    what = {"task": one.task, "job": one.job, "label": one.label, "verdict": _key(one.verdict), "became": one.became}
    return {**what, "iou": one.iou, "frames": track.frames, "most_corrected": corrected}


def _bins(bins: Sequence[Acceptance]) -> list[dict[str, Any]]:
    return [{**vars(one), "interval": [round(bound, 4) for bound in one.interval]} for one in bins]


def _counts(judged: Sequence[Judged]) -> Mapping[str, int]:
    return dict(sorted(Counter(_key(one.verdict) for one in judged).items()))


def _key(verdict: Verdict) -> str:
    return verdict.replace(" ", "_")
