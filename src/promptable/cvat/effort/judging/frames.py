"""Judging a job frame by frame: what runs wrote there is compared with what is there now."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from promptable.cvat.effort.judging.matching import matched
from promptable.cvat.effort.judging.verdicts import Judged, Verdict, compared, has_places, place_of
from promptable.cvat.effort.judging.written import Asked, Written
from promptable.cvat.geometry.position import MASK, Position, position_at
from promptable.cvat.journal import Found
from promptable.cvat.labels.task_label import TaskLabel
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.propagate.objects import held_values
from promptable.cvat.server.annotations import KINDS

AUTO = "auto"
"""CVAT's source of annotations that no person has touched."""
_TRACK = "track"


@dataclass(frozen=True)
class JudgedFrame:
    """The verdicts on a reviewed frame of a job, and what a ``run`` of a detector, if there was one, ``found`` there.

    ``places`` are the labels and positions of the shapes and tracks that are there now, ``tags`` the labels of the
    tags.
    """

    task: int
    job: int
    number: int
    judged: Sequence[Judged]
    run: int | None = None
    found: Sequence[Found] = ()
    places: Sequence[tuple[str, Position]] = ()
    tags: Set[str] = frozenset()


@dataclass(frozen=True)
class JobNow:
    """The annotations of a job now. ``known`` are the ids, by kind, of all that runs have written there.

    ``seam`` are frames that the job shares with the job before it, which has their masks.
    """

    task: int
    job: int
    annotations: Mapping[str, Any]
    labels: TaskLabels
    known: Mapping[str, Set[int]]
    seam: Set[int] = frozenset()

    def label(self, number: int) -> TaskLabel | None:
        """The label with this id; None if the task no longer has it."""
        return self.labels.by_id.get(number)

    def labelled(self, one: Mapping[str, Any]) -> TaskLabel:
        """The label of an annotation, which the task must still have."""
        return self.labels.by_id[one["label_id"]]

    def has(self, frame: int, form: str) -> bool:
        """Whether this job has the shapes of this form on a frame: masks on shared frames are in the job before it."""
        return form != MASK or frame not in self.seam

    def shown(self, frame: int, kind: str) -> list[Mapping[str, Any]]:
        """The shapes or tags on a frame, tracks as shapes; without tags that mark frames, and without lost labels."""
        shown = [*self._by_frame[kind][frame], *(self._tracks(frame) if kind == "shape" else ())]
        return [one for one in shown if (label := self.label(one["label_id"])) and label.name not in self.labels.marks]

    @cached_property
    def _by_frame(self) -> Mapping[str, Mapping[int, list[Mapping[str, Any]]]]:
        by_frame: dict[str, dict[int, list[Mapping[str, Any]]]] = {kind: defaultdict(list) for kind in KINDS}
        for kind in KINDS:
            for one in self.annotations[f"{kind}s"]:
                by_frame[kind][one["frame"]].append(one)
        return by_frame

    @cached_property
    def _placed_tracks(self) -> Sequence[Mapping[str, Any]]:
        return [track for track in self.annotations["tracks"] if has_places(track)]

    def _tracks(self, frame: int) -> Iterator[Mapping[str, Any]]:
        for track in self._placed_tracks:
            if (place := position_at(track, frame)) is not None:
                held = {"type": place.form, "points": place.points, "rotation": place.rotation}
                yield {**held_values(track, frame), **held, "id": (_TRACK, track["id"]), "label_id": track["label_id"]}


def judged_frame(now: JobNow, frame: int, asked: Asked) -> JudgedFrame:
    """The verdicts on a frame about which runs ``asked``."""
    judged: list[Judged] = []
    shown = {kind: now.shown(frame, kind) for kind in KINDS}
    for kind in KINDS:
        written = [one for one in asked.written if one.kind == kind and now.label(one.payload["label_id"])]
        for before, there in matched(written, shown[kind]):
            if before is not None:
                judged.append(_judged(now, before, there))
            elif there is not None and _is_added(now, kind, there, asked):
                judged.append(_added(now, kind, frame, there))
    placed = [(now.labelled(one).name, place_of(one)) for one in shown["shape"]]
    places = [(name, place) for name, place in placed if place is not None and now.has(frame, place.form)]
    found = [one for one in asked.found if now.has(frame, one.detection.type)]
    tags = {now.labelled(one).name for one in shown["tag"]}
    return JudgedFrame(now.task, now.job, frame, judged, asked.run, found, places, tags)


def judged_masks(now: JobNow, frame: int, masks: Sequence[Written]) -> JudgedFrame:
    """The verdicts on ``masks`` that ``propagate`` wrote on a frame."""
    pairs = matched(masks, now.shown(frame, "shape"))
    judged = [_judged(now, before, there) for before, there in pairs if before is not None]
    return JudgedFrame(now.task, now.job, frame, judged)


def _judged(now: JobNow, before: Written, there: Mapping[str, Any] | None) -> Judged:
    label = now.labelled(before.payload)
    verdict, overlap = (Verdict.DELETED, None) if there is None else compared(before.payload, there, label)
    return Judged(
        task=now.task,
        job=now.job,
        frame=before.frame,
        kind=before.kind,
        label=label.name,
        verdict=verdict,
        score=before.score,
        iou=overlap,
        became=now.labelled(there).name if there is not None and verdict is Verdict.RELABELLED else None,
        before=place_of(before.payload),
        after=None if there is None else place_of(there),
    )


def _added(now: JobNow, kind: str, frame: int, there: Mapping[str, Any]) -> Judged:
    return Judged(now.task, now.job, frame, kind, now.labelled(there).name, Verdict.ADDED, after=place_of(there))


def _is_added(now: JobNow, kind: str, there: Mapping[str, Any], asked: Asked) -> bool:
    """Whether people have added an annotation since the runs that ``asked``, of a label that they looked for.

    Tracks do not count: they are judged by themselves. Automatic annotations do not: another journal has their run.
    """
    number = there["id"]
    if not isinstance(number, int) or number <= asked.before[kind] or number in now.known[kind]:
        return False
    if kind == "shape" and not now.has(there["frame"], there["type"]):
        return False
    return there["source"] != AUTO and now.labelled(there).name in asked.looked_for
