"""What a run changes in each job, from what was followed and what CVAT holds: creates, then updates, then deletes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from promptable.cvat.geometry.position import MASK, Placed, Position, position_of
from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.content import SHAPE, TRACK, Written, is_same
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.objects import Copy, Object, found_on
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.people import people_around
from promptable.cvat.propagate.writing.handover import is_seen, outside_in_form, rest_of
from promptable.cvat.propagate.writing.held import Held
from promptable.cvat.propagate.writing.items import Item, gone, left_of
from promptable.cvat.propagate.writing.room import Room
from promptable.cvat.propagate.writing.tracks import (
    Part,
    drawn_elsewhere,
    kept_keyframes,
    mask_shapes,
    own_frames,
    track_of,
)
from promptable.cvat.seams import Seams, told_elsewhere
from promptable.cvat.server.annotations import JobAnnotations, read_task
from promptable.cvat.server.frames import Frames, text_of
from promptable.cvat.server.jobs import OPEN

_ACTIONS = ("create", "update", "delete")
_MOST_CHARACTERS = 2_000_000
"""In one request."""


class Changes:
    """Decides what a run writes into which job."""

    def __init__(self, client: Any, frames: Frames, journal: TrackJournal, run: int, options: Options) -> None:
        """``client`` is cvat-sdk's. Raises CvatError."""
        self._client = client
        self._frames = frames
        self._journal = journal
        self._run = run
        self._options = options
        self._ours = journal.ours()
        self._jobs = {job.id: job for job in self._open_jobs()}
        self._held = {number: JobAnnotations(client, number).read() for number in self._jobs}
        self.left_out: list[str] = []
        self._seams = Seams(client, frames)
        self._room = Room(self._ours, self._held, journal.objects(run), stays_open=self._only_backward)
        self._elsewhere: dict[int, set[int]] = defaultdict(set)  # by job, frames whose masks another one has

    @property
    def highest_ids(self) -> dict[int, dict[str, int]]:
        """By job, of each kind, in what the changes are made from."""
        return {job: Held(held, {}).highest_ids() for job, held in self._held.items()}

    def requests(self) -> Iterator[tuple[int, str, Sequence[Item]]]:
        """Job, action and items of each request, in order. Raises CvatError."""
        objects = [one for one in self._journal.objects(self._run) if self._is_as_it_was(one)]
        around = [people_around(annotations, objects, self._ours) for annotations in self._held.values()]
        changes: dict[tuple[str, int], list[str]] = defaultdict(list)  # as JSON, which takes a fifth of the room
        groups = self._groups(objects)
        for one in objects:
            for job, action, item in self._changes(one, groups[one.number], self._found(one, around)):
                changes[action, job].append(json.dumps(item))
        self.left_out += map(told_elsewhere, self._elsewhere.items())
        for action in _ACTIONS:
            for job in self._jobs:
                yield from ((job, action, list(map(json.loads, items))) for items in _packed(changes[action, job]))

    def _open_jobs(self) -> Iterator[Any]:
        for job in self._frames.jobs:
            if text_of(job.type) != "annotation" and self._options.job is None:
                continue
            state = text_of(self._client.jobs.retrieve(job.id).state)
            if state in OPEN or self._options.include is not None:
                yield job

    def _is_as_it_was(self, one: Object) -> bool:
        """Whether nobody has changed an object since the run began."""
        for copy in one.copies:
            if copy.job not in self._held:
                self.left_out.append(f"{copy.kind} {copy.item['id']}: job {copy.job} was closed while it was followed")
                return False
            now = {item["id"]: item for item in self._held[copy.job][f"{copy.kind}s"]}
            if copy.item["id"] not in now or not is_same(copy.item, now[copy.item["id"]]):
                self.left_out.append(f"{copy.kind} {copy.item['id']} was changed while it was followed")
                return False
        return True

    def _groups(self, objects: Iterable[Object]) -> dict[int, int]:
        """The group of each object by its number: masks without one get that of earlier ones, or a new one each."""
        groups = {one.number: int(one.item["group"] or 0) for one in objects}
        groups |= {
            one.number: self._room.group_of(one) for one in objects if one.form == MASK and not groups[one.number]
        }
        lone = [one.number for one in objects if one.form == MASK and not groups[one.number]]
        if lone:
            held = read_task(self._client, self._frames.task.id)
            highest = max(
                (int(one["group"] or 0) for kind in ("shapes", "tracks", "tags") for one in held[kind]), default=0
            )
            groups |= {number: highest + i for i, number in enumerate(lone, 1)}
        return groups

    def _found(self, one: Object, around: Sequence[Mapping[int, Sequence[Placed]]]) -> dict[int, Position | None]:
        """Where the object is by frame, up to where people have something of its label at its place."""
        found = dict(self._journal.positions(self._run, one.number))
        if one.changes_form and found.get(one.frame) is None:
            self.left_out.append(f"{one.name}: the tracker sees nothing in it")
            return {}
        if one.form == one.start.form:
            found[one.frame] = one.start  # a box that is turned stays so
        taken = [
            frame
            for theirs in around
            for frame in theirs.keys() & found.keys()
            if (frame != one.frame or not one.copies) and _is_taken(one, found[frame], theirs[frame])
        ]
        met = [frame for frame in taken if frame != one.frame]
        taken += [frame for frame in found if one.joined and self._is_shown(one, frame, found[frame])]
        if one.frame in taken:
            return {}
        if met:
            nearest = min(met, key=lambda frame: abs(frame - one.frame))
            self.left_out.append(f"{one.name} from frame {nearest} on, where people have one of its label at its place")
        end = min((frame for frame in taken if frame > one.frame), default=None)
        begin = max((frame for frame in taken if frame < one.frame), default=None)
        return {
            frame: found[frame]
            for frame in sorted(found)
            if (end is None or frame < end) and (begin is None or frame > begin)
        }

    def _is_shown(self, one: Object, frame: int, position: Position | None) -> bool:
        """Whether CVAT shows something at the place of one that joined, before it did: whoever made it.

        What it shows where new objects were looked for is no double already.
        """
        if (one.frame - frame) * one.joined <= 0:
            return False
        shown = [item for held in self._held.values() for item in found_on(held, frame)]
        return _is_taken(one, position, [Placed(item["label_id"], there) for _, item, there in shown])

    def _changes(
        self, one: Object, group: int, found: Mapping[int, Position | None]
    ) -> Iterator[tuple[int, str, Item]]:
        """Job, action and item of all that becomes of an object."""
        for number, job in self._jobs.items():
            frames = range(job.start_frame, job.stop_frame + 1)
            changes = self._job_changes(self._part(one, group, number, frames, found), number)
            yield from ((number, action, item) for action, item in changes)

    def _job_changes(self, part: Part, job: int) -> Iterator[tuple[str, Item]]:
        one, copy = part.one, part.one.copy_in(job)
        if one.changes_form and copy is not None and part.found:
            yield from self._handed_over(part, copy)
        elif one.form == MASK:
            yield from self._mask_changes(part, copy, job)
        elif part.is_seen or (copy is not None and one.is_track and not one.changes_form):
            yield from self._track_changes(part, copy)
        yield from self._room.made_for(part, job)

    def _handed_over(self, part: Part, copy: Copy) -> Iterator[tuple[str, Item]]:
        """A track that goes on in another form: as itself if it is seen nowhere else, or else as something new."""
        rest, borders = rest_of(copy.item, part, self._ours.keyframes(copy.item["id"]), stays_open=self._only_backward)
        is_itself = part.is_seen and part.one.form != MASK and (rest is None or not is_seen(rest))
        if part.one.form == MASK:
            yield from self._mask_changes(part, None, copy.job)
        elif is_itself:
            outside = {} if rest is None else outside_in_form(rest, part)
            yield from self._track_changes(replace(part, kept=outside), copy)
        elif part.is_seen:
            yield from self._track_changes(part, None)
        if not is_itself:
            yield left_of(copy.item, rest, borders, part.one.number)

    def _part(self, one: Object, group: int, job: int, frames: range, found: Mapping[int, Position | None]) -> Part:
        here = {frame: position for frame, position in found.items() if frame in frames}
        copy = None if one.changes_form else one.copy_in(job)
        track = None if copy is None or copy.kind == SHAPE else copy.item
        written = Written() if track is None else self._ours.keyframes(track["id"])
        others = self._room.tracks_of(one, job)
        elsewhere = drawn_elsewhere(one, track, frames, written, others)
        kept = kept_keyframes(track, here, written)
        return Part(
            one,
            group,
            here,
            followed=[frame for frame in self._followed if frame in frames],
            frames=frames,
            kept={frame: key for frame, key in kept.items() if frame not in elsewhere},
            elsewhere=elsewhere,
            track=track,
            mutable=self._mutable,
            stays_open=one.is_track and not one.changes_form and self._only_backward,
        )

    @property
    def _only_backward(self) -> bool:
        return 1 not in self._options.direction.steps

    @cached_property
    def _followed(self) -> list[int]:
        return self._journal.followed(self._run)

    @cached_property
    def _mutable(self) -> frozenset[int]:
        """The attributes that may differ from frame to frame."""
        labels = listed(self._client, self._frames.task.id)
        return frozenset(spec["id"] for label in labels for spec in label["attributes"] if spec.get("mutable"))

    def _track_changes(self, part: Part, copy: Copy | None) -> Iterator[tuple[str, Item]]:
        track = track_of(part, self._options.keyframe_iou)
        item = {"kind": TRACK, "object": part.one.number, "new": track, "own": own_frames(part, track)}
        if copy is None or copy.kind == SHAPE:
            yield "create", item | {"before": None}
        else:
            kept = {key: copy.item[key] for key in ("id", "attributes", "group")}
            yield "update", item | {"new": track | kept, "before": copy.item, "id": copy.item["id"]}
        if copy is not None and copy.kind == SHAPE:
            yield "delete", gone(copy.item, part.one.number)

    def _mask_changes(self, part: Part, copy: Copy | None, job: int) -> Iterator[tuple[str, Item]]:
        """The drawn one stays, in the group, as a mask."""
        one = part.one
        for shape in mask_shapes(part):
            if self._seams.is_elsewhere(job, shape["frame"], one.label_id, position_of(shape), self._jobs):
                self._elsewhere[job].add(shape["frame"])
            else:
                yield "create", {"kind": SHAPE, "object": one.number, "new": shape, "before": None}
        drawn = part.found.get(one.frame)
        if copy is not None and drawn is not None and (copy.item["type"] != MASK or copy.item["group"] != part.group):
            new = {**copy.item, "type": MASK, "points": list(drawn.points), "rotation": 0, "group": part.group}
            yield "update", {**gone(copy.item, one.number), "new": new}


def _is_taken(one: Object, position: Position | None, theirs: Iterable[Placed]) -> bool:
    """Whether people have something of the object's label at its place."""
    if position is None:
        return False
    return any(placed.is_double(one.label_id, position) for placed in theirs)


def _packed(items: Iterable[str]) -> Iterator[Sequence[str]]:
    """As many items as fit into a request."""
    part: list[str] = []
    characters = 0
    for item in items:
        part.append(item)
        characters += len(item)
        if characters > _MOST_CHARACTERS:
            yield part
            part, characters = [], 0
    if part:
        yield part
