"""What a run changes in each job, from what was followed and what CVAT has: creates, then updates, then deletes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.changes.earlier_forms import EarlierForms
from promptable.cvat.propagate.changes.groups import groups_of
from promptable.cvat.propagate.changes.items import Item
from promptable.cvat.propagate.changes.job_changes import JobChanges
from promptable.cvat.propagate.changes.job_part import JobPart, borrowed_keyframes, kept_keyframes
from promptable.cvat.propagate.changes.positions import FoundPositions, Positions
from promptable.cvat.propagate.content import SHAPE, TRACK, is_same
from promptable.cvat.propagate.jobs import why_left_alone
from promptable.cvat.propagate.journal import TrackJournal, WrittenShapes
from promptable.cvat.propagate.objects import Object
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.people_annotations import other_objects
from promptable.cvat.seams import Seams, told_elsewhere
from promptable.cvat.server.annotations import JobAnnotations, highest_ids
from promptable.cvat.server.frames import Frames

_ACTIONS = ("create", "update", "delete")
_MOST_CHARACTERS = 2_000_000
"""Of JSON in one request."""


class Changes:
    """Decides what a run writes into each job. ``left_out`` says in sentences what it leaves out, and grows."""

    def __init__(self, client: Any, frames: Frames, journal: TrackJournal, run: int, options: Options) -> None:
        """Reads the annotations of the jobs that the run may write into. ``client`` is cvat-sdk's. Raises CvatError."""
        self.left_out: list[str] = []
        self._client = client
        self._frames = frames
        self._journal = journal
        self._run = run
        self._options = options
        now = (client.jobs.retrieve(job.id) for job in frames.jobs)
        self._jobs = {job.id: job for job in now if why_left_alone(job, options) is None}
        self._annotations = {job: JobAnnotations(client, job).read() for job in self._jobs}
        self._run_writes = journal.run_writes()
        self._earlier_forms = EarlierForms(
            self._run_writes, self._annotations, journal.objects(run), stays_open=options.only_backward
        )

    @property
    def highest_ids(self) -> dict[int, dict[str, int]]:
        """The highest ids of each kind in the annotations of each job that the changes are made from."""
        return {job: highest_ids(annotations, (SHAPE, TRACK)) for job, annotations in self._annotations.items()}

    def requests(self) -> Iterator[tuple[int, str, Sequence[Item]]]:
        """Job, action and items of each request, in the order in which they are to be sent. Raises CvatError."""
        job_changes = JobChanges(
            self._run_writes, self._earlier_forms, Seams(self._client, self._frames), self._jobs, self._options
        )
        changes: dict[tuple[str, int], list[str]] = defaultdict(list)  # as JSON: a fifth of the memory
        for part, job in self._parts():
            for action, item in job_changes.of(part, job):
                changes[action, job].append(json.dumps(item))
        self.left_out += map(told_elsewhere, job_changes.in_other_jobs.items())
        for action in _ACTIONS:
            for job in self._jobs:
                yield from ((job, action, list(map(json.loads, items))) for items in _portions(changes[action, job]))

    def _parts(self) -> Iterator[tuple[JobPart, int]]:
        """The part of every object in every job, object by object, each with its job."""
        objects = [one for one in self._journal.objects(self._run) if self._is_unchanged(one)]
        others = [other_objects(annotations, objects, self._run_writes) for annotations in self._annotations.values()]
        in_jobs = list(self._annotations.values())
        positions = FoundPositions(self._journal, self._run, in_jobs, others, self.left_out.append)
        groups = groups_of(self._client, self._frames.task.id, objects, self._earlier_forms)
        for one in objects:
            found = positions.of(one)
            for job in self._jobs:
                yield self._part(one, groups[one.number], job, found), job

    def _is_unchanged(self, one: Object) -> bool:
        """Whether nobody has changed an object since the run began, and its jobs are open."""
        for copy in one.copies:
            if copy.job not in self._annotations:
                self.left_out.append(f"{copy.kind} {copy.item['id']}: job {copy.job} was closed while it was followed")
                return False
            now = {item["id"]: item for item in self._annotations[copy.job][f"{copy.kind}s"]}
            if copy.item["id"] not in now or not is_same(copy.item, now[copy.item["id"]]):
                self.left_out.append(f"{copy.kind} {copy.item['id']} was changed while it was followed")
                return False
        return True

    def _part(self, one: Object, group: int, job: int, found: Positions) -> JobPart:
        frames = range(self._jobs[job].start_frame, self._jobs[job].stop_frame + 1)
        here = {frame: position for frame, position in found.items() if frame in frames}
        copy = None if one.changes_form else one.copy_in(job)
        track = copy.item if copy is not None and copy.kind == TRACK else None
        written = WrittenShapes() if track is None else self._run_writes.keyframes(track["id"])
        borrowed = borrowed_keyframes(one, track, frames, written, self._earlier_forms.tracks_of(one, job))
        kept = {} if track is None else kept_keyframes(track, here, written)
        return JobPart(
            one,
            group,
            frames,
            followed=[frame for frame in self._followed if frame in frames],
            found=here,
            mutable=self._mutable,
            track=track,
            kept={frame: key for frame, key in kept.items() if frame not in borrowed},
            borrowed=borrowed,
            stays_open=one.is_track and not one.changes_form and self._options.only_backward,
        )

    @cached_property
    def _followed(self) -> Sequence[int]:
        return self._journal.followed(self._run)

    @cached_property
    def _mutable(self) -> frozenset[int]:
        """The ids of the attributes that may differ from frame to frame. Raises CvatError."""
        labels = listed(self._client, self._frames.task.id)
        return frozenset(spec["id"] for label in labels for spec in label["attributes"] if spec.get("mutable"))


def _portions(items: Iterable[str]) -> Iterator[Sequence[str]]:
    """The items in portions that fit into one request each."""
    portion: list[str] = []
    characters = 0
    for item in items:
        portion.append(item)
        characters += len(item)
        if characters > _MOST_CHARACTERS:
            yield portion
            portion, characters = [], 0
    if portion:
        yield portion
