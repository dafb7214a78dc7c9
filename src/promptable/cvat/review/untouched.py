"""What nobody has dealt with yet, by what CVAT has now."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    """Looks frames up in CVAT: a job is read once, for all of its frames, and not kept."""

    def __init__(
        self,
        client: Any,
        frames: Frames,
        names: Mapping[int, str],
        journal: JournalReader,
        candidates: Iterable[QueuedFrame],
    ) -> None:
        """``client`` is cvat-sdk's, ``names`` are the labels' by CVAT's ids. Only ``candidates`` are asked about."""
        self._client = client
        self._frames = np.array(frames.numbers, np.int64)
        self._names = names
        self._journal = journal
        self._waiting: dict[int, list[QueuedFrame]] = defaultdict(list)
        for one in candidates:
            self._waiting[one.job].append(one)
        self._left: dict[tuple[int, int], list[Doubt]] = {}

    def still(self, one: QueuedFrame) -> QueuedFrame | None:
        """The frame with what is left of its doubts, None where that is nothing. Raises CvatError."""
        if one.job in self._waiting:
            self._read(one.job, self._waiting.pop(one.job))
        doubts = self._left[one.job, one.frame]
        return replace(one, doubts=doubts) if doubts else None

    def _read(self, number: int, candidates: Sequence[QueuedFrame]) -> None:
        """Note what is left of all these frames of a job."""
        asks = any(doubt.detection is not None for one in candidates for doubt in one.doubts)
        job = self._job(number) if asks else None
        for one in candidates:
            self._left[one.job, one.frame] = [
                doubt for doubt in one.doubts if job is None or self._is_open(job, one, doubt)
            ]

    def _is_open(self, job: _Job, one: QueuedFrame, doubt: Doubt) -> bool:
        if doubt.detection is None:
            return True
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
        there = JobAnnotations(self._client, number).read()
        automatic = {(kind, one["id"]) for kind in KINDS for one in there[f"{kind}s"] if one["source"] == "auto"}
        tags = {(tag["frame"], self._names.get(tag["label_id"], "")) for tag in there["tags"]}
        objects = JobObjects(there, self._frames, self._names, lambda *_: None)
        return _Job(frozenset(automatic), frozenset(tags), objects)
