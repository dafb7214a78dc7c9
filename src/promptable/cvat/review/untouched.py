"""What nobody has dealt with yet, by what CVAT has now."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.journal import JournalReader
from promptable.cvat.review.queue import Doubt, QueuedFrame
from promptable.cvat.server.annotations import KINDS, JobAnnotations
from promptable.cvat.server.frames import Frames
from promptable.cvat.stats.objects import JobObjects

_FOUND = 0.5
"""IoU of a box of its label with what was thought to be missing."""


@dataclass(frozen=True)
class _Job:
    """What a job has now. ``automatic`` are kinds and ids of what no person has touched."""

    automatic: frozenset[tuple[str, int]]
    tags: frozenset[tuple[int, str]]
    objects: JobObjects


class Untouched:
    """Looks a frame up in CVAT; a job is read once."""

    def __init__(self, client: Any, frames: Frames, names: Mapping[int, str], journal: JournalReader | None) -> None:
        """``client`` is cvat-sdk's, ``names`` are the labels' by CVAT's ids."""
        self._client = client
        self._frames = np.array(frames.numbers, np.int64)
        self._names = names
        self._journal = journal
        self._jobs: dict[int, _Job] = {}

    def still(self, one: QueuedFrame) -> QueuedFrame | None:
        """The frame with what is left of its doubts, None where that is nothing. Raises CvatError."""
        doubts = [doubt for doubt in one.doubts if self._is_open(one, doubt)]
        return replace(one, doubts=doubts) if doubts else None

    def _is_open(self, one: QueuedFrame, doubt: Doubt) -> bool:
        if doubt.detection is None or self._journal is None:
            return True
        job = self._job(one.job)
        if doubt.is_missing:
            return not self._is_there(job, one.frame, doubt)
        uploads = self._journal.uploads(job=one.job, frame=one.frame)
        return any((up.kind, up.server_id) in job.automatic for up in uploads if up.detection == doubt.detection)

    def _is_there(self, job: _Job, frame: int, doubt: Doubt) -> bool:
        """Whether people, or another run, have added what was not uploaded."""
        if doubt.box is None:
            return (frame, doubt.label) in job.tags
        index = int(np.searchsorted(self._frames, frame))
        boxes = job.objects.rows(doubt.label, index, index + 1)["box"]
        return bool((box_iou(boxes, np.array(doubt.box)) >= _FOUND).any())

    def _job(self, number: int) -> _Job:
        if number not in self._jobs:
            there = JobAnnotations(self._client, number).read()
            automatic = {(kind, one["id"]) for kind in KINDS for one in there[f"{kind}s"] if one["source"] == "auto"}
            tags = {(tag["frame"], self._names.get(tag["label_id"], "")) for tag in there["tags"]}
            objects = JobObjects(there, self._frames, self._names, lambda *_: None)
            self._jobs[number] = _Job(frozenset(automatic), frozenset(tags), objects)
        return self._jobs[number]
