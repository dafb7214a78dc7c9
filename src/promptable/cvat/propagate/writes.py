"""From what was followed to requests, noted before the first is sent: creates, then updates, then deletes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from promptable.cvat.annotate.plan import OPEN
from promptable.cvat.geometry.position import MASK, Position
from promptable.cvat.labels import listed
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.objects import SHAPE, TRACK, Copy, Object
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.plan import is_same, people_around
from promptable.cvat.propagate.tracks import Part, kept_keyframes, mask_shapes, own_frames, track_of
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.frames import Frames, text_of

Items = list[dict[str, Any]]
_MOST_NUMBERS = 1_000_000
"""Coordinates in one request, which is some 5 MB."""


class Writes:
    """Decides what a run writes into which job, from the journal and from what CVAT holds now."""

    def __init__(self, client: Any, frames: Frames, journal: TrackJournal, run: int, options: Options) -> None:
        self._client = client
        self._frames = frames
        self._journal = journal
        self._run = run
        self._options = options
        self._ours = journal.ours()
        self.left_out: list[str] = []

    def plan(self, first: int) -> list[tuple[int, str, Items]]:
        """Job, action and items of each request, in order. Raises CvatError."""
        jobs = {job.id: job for job in self._open_jobs()}
        held = {number: JobAnnotations(self._client, number).read() for number in jobs}
        objects = [one for one in self._journal.objects(self._run) if self._is_as_it_was(one, held)]
        around = [people_around(annotations, objects, self._ours) for annotations in held.values()]
        mutable = self._mutable()
        by_action: dict[str, dict[int, Items]] = {action: {job: [] for job in jobs} for action in _ACTIONS}
        for one in objects:
            found = self._found(one, first, around)
            seam: set[int] = set()  # masks of frames that two jobs share are written once: CVAT would show them twice
            for number, job in jobs.items():
                frames = range(job.start_frame, job.stop_frame + 1)
                part = self._part(one, number, frames, first, found, mutable)
                for action, item in self._items(part, number, seam, held[number]):
                    by_action[action][number].append(item)
                seam |= set(frames)
        return [
            (job, action, request)
            for action in _ACTIONS
            for job, items in by_action[action].items()
            for request in _requests(items)
        ]

    def _open_jobs(self) -> Iterator[Any]:
        for job in self._frames.jobs:
            if text_of(job.type) != "annotation" and self._options.job is None:
                continue
            state = text_of(self._client.jobs.retrieve(job.id).state)
            if state in OPEN or self._options.completed_jobs:
                yield job

    def _is_as_it_was(self, one: Object, held: Mapping[int, Mapping[str, Any]]) -> bool:
        """Whether nobody has changed an object since the run began."""
        for copy in one.copies:
            if copy.job not in held:
                self.left_out.append(f"{copy.kind} {copy.item['id']}: job {copy.job} was closed while it was followed")
                return False
            now = {item["id"]: item for item in held.get(copy.job, {}).get(f"{copy.kind}s", ())}
            if copy.item["id"] not in now or not is_same(copy.item, now[copy.item["id"]], copy.kind):
                self.left_out.append(f"{copy.kind} {copy.item['id']} was changed while it was followed")
                return False
        return True

    def _mutable(self) -> frozenset[int]:
        labels = listed(self._client, self._frames.task.id)
        return frozenset(spec["id"] for label in labels for spec in label["attributes"] if spec.get("mutable"))

    def _found(
        self, one: Object, first: int, around: Sequence[Mapping[int, Sequence[tuple[int, Position]]]]
    ) -> dict[int, Position | None]:
        """Where the object is by frame, up to where people have something of its label at its place."""
        found = dict(self._journal.positions(self._run, one.number)) | {first: self._drawn(one, first)}
        taken = [
            frame
            for theirs in around
            for frame in theirs.keys() & found.keys()
            if frame != first and (position := found[frame]) is not None
            for label, person in theirs[frame]
            if label == one.label_id and position.overlaps(person)
        ]
        end = min((frame for frame in taken if frame > first), default=None)
        begin = max((frame for frame in taken if frame < first), default=None)
        return {
            frame: found[frame]
            for frame in sorted(found)
            if (end is None or frame < end) and (begin is None or frame > begin)
        }

    def _drawn(self, one: Object, first: int) -> Position | None:
        """The start in the form that is written; a box that is turned stays so."""
        return one.start if one.form == one.start.form else one.start.as_form(one.form, self._frames.frame(first).hw)

    def _part(
        self,
        one: Object,
        job: int,
        frames: range,
        first: int,
        found: Mapping[int, Position | None],
        mutable: frozenset[int],
    ) -> Part:
        own = {frame: position for frame, position in found.items() if frame in frames}
        copy = one.copy_in(job)
        written = set() if copy is None else self._ours.keyframes(copy.item["id"])
        kept = kept_keyframes(copy, own, written)
        followed = [frame for frame in self._journal.followed(self._run) if frame in frames]
        is_new = copy is None or copy.kind == SHAPE
        stays_open = one.is_track and 1 not in self._options.direction.steps
        return Part(one, own, followed, frames, first, kept, mutable, is_new, stays_open)

    def _items(
        self, part: Part, job: int, seam: set[int], held: Mapping[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Action and item of all that becomes of an object in a job."""
        copy = part.one.copy_in(job)
        if part.one.form == MASK:
            yield from self._mask_items(part, copy, seam, held)
        elif part.is_seen or copy is not None:
            yield from self._track_items(part, copy)

    def _track_items(self, part: Part, copy: Copy | None) -> Iterator[tuple[str, dict[str, Any]]]:
        track = track_of(part, self._options.keyframe_iou)
        item = {"kind": TRACK, "object": part.one.number, "new": track, "own": own_frames(part, track)}
        if copy is None or copy.kind == SHAPE:
            yield "create", item | {"before": None}
        else:
            attributes = copy.item["attributes"]
            new = track | {"id": copy.item["id"], "attributes": attributes, "group": copy.item["group"]}
            yield "update", item | {"new": new, "before": copy.item, "id": copy.item["id"]}
        if copy is not None and copy.kind == SHAPE:
            yield "delete", _gone(copy.item, part.one.number)

    def _mask_items(
        self, part: Part, copy: Copy | None, seam: set[int], held: Mapping[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The drawn one stays, in the group, as a mask; earlier runs' masks of it go where there are new ones."""
        frames = set()
        for shape in mask_shapes(part):
            if shape["frame"] not in seam:
                frames.add(shape["frame"])
                yield "create", {"kind": SHAPE, "object": part.one.number, "new": shape, "before": None}
        for shape in held["shapes"]:
            alike = (shape["group"], shape["label_id"], shape["type"]) == (part.one.group, part.one.label_id, MASK)
            if alike and shape["frame"] in frames and self._ours.has(shape):
                yield "delete", _gone(shape, part.one.number)
        if copy is not None and (copy.item["type"] != MASK or copy.item["group"] != part.one.group):
            drawn = part.found[part.first]
            points = copy.item["points"] if drawn is None else list(drawn.points)
            new = {**copy.item, "type": MASK, "points": points, "rotation": 0, "group": part.one.group}
            item = {"kind": SHAPE, "object": part.one.number, "new": new, "before": copy.item, "id": copy.item["id"]}
            yield "update", item


_ACTIONS = ("create", "update", "delete")


def _gone(item: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {"kind": SHAPE, "object": number, "new": None, "before": item, "id": item["id"]}


def _requests(items: Iterable[dict[str, Any]]) -> Iterator[Items]:
    """As many items as fit into a request."""
    part: Items = []
    numbers = 0
    for item in items:
        part.append(item)
        numbers += _size(item["new"] or item["before"])
        if numbers > _MOST_NUMBERS:
            yield part
            part, numbers = [], 0
    if part:
        yield part


def _size(shape: Mapping[str, Any]) -> int:
    return sum(map(len, (one["points"] for one in shape.get("shapes", [shape]))))
