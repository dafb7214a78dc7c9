"""The annotations on the first frame of a run: which of them can be followed, and why the others cannot."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.geometry.position import Position
from promptable.cvat.labels.entries import ANY, listed
from promptable.cvat.plural import counted
from promptable.cvat.propagate.already_followed import AlreadyFollowed
from promptable.cvat.propagate.broken_shapes import BrokenShapeError, check_shapes
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.copies import TracksOfObjects, merged
from promptable.cvat.propagate.journal import Key, RunWrites
from promptable.cvat.propagate.objects import Copy, Object, found_on, shown_on, unfollowable_on
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.people_annotations import positions_by_people
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


@dataclass(frozen=True)
class Drawn:
    """The ``objects`` that can be followed, and sentences on what is ``left_out``.

    ``followed`` is how many objects are left out since a run has followed them already.
    """

    objects: Sequence[Object]
    left_out: Sequence[str]
    followed: int


class DrawnShapes:
    """The shapes and tracks on the first frame of a run."""

    def __init__(
        self,
        client: Any,
        frames: Frames,
        jobs: Sequence[Any],
        first: int,
        neighbours: Sequence[int],
        options: Options,
        run_writes: RunWrites,
    ) -> None:
        """``client`` and ``jobs`` are cvat-sdk's; ``neighbours`` are the frames that come next to ``first``.

        Raises CvatError.
        """
        self._ranges = {job.id: range(job.start_frame, job.stop_frame + 1) for job in jobs}
        self._annotations = {job.id: JobAnnotations(client, job.id).read() for job in jobs}
        self._labels = {int(label["id"]): label for label in listed(client, frames.task.id)}
        _check_names(options.labels or (), [str(label["name"]) for label in self._labels.values()])
        self._on_first = [self._annotations[job] for job, shown in self._ranges.items() if first in shown]
        self._first = first
        self._neighbours = neighbours
        self._options = options
        self._run_writes = run_writes

    def look(self) -> Drawn:
        """Find out what can be followed. Raises CvatError, also for a broken shape, which it names."""
        try:
            return self._look()
        except BrokenShapeError as error:
            label = self._labels[error.item["label_id"]]["name"]
            raise CvatError(
                f"{error.kind} {error.item['id']} ({label}) on frame {error.frame} is broken: {error}; draw it anew or "
                "delete it in CVAT, or leave its object out: --shapes and --labels say what to follow"
            ) from None

    def _look(self) -> Drawn:
        objects: list[Object] = []
        left_out = [*self._unknown(), *self._of_other_forms()]
        followed = 0
        starts = sorted(self._starts(), key=self._is_no_persons)
        tracks = {copy.key for copy, _ in starts if copy.kind == TRACK}
        tracks_of_objects = TracksOfObjects(self._annotations, self._ranges, self._run_writes)
        for copies, position in merged(starts):
            start, form = copies[0], self._options.form or position.form
            if start.kind == TRACK and start.item["id"] in tracks_of_objects.taken:
                continue  # it belongs to an object that another track begins
            if (why := self._why_not(start, form, tracks)) is not None:
                left_out.append(why)
                continue
            copies = tracks_of_objects.all_of(copies) if start.kind == TRACK else copies
            for copy in copies:
                check_shapes(copy.kind, copy.item)
            if form == position.form and self._is_followed(copies):
                left_out.append(f"{self._named(start)} goes on as a run followed it")
                followed += 1
                continue
            objects.append(self._object(len(objects), form, position, copies))
        return Drawn(objects, left_out, followed)

    def _object(self, number: int, form: str, position: Position, copies: Sequence[Copy]) -> Object:
        by_people = positions_by_people(copies, self._annotations, self._first, self._run_writes)
        return Object(number, copies[0].item["label_id"], form, self._first, position, copies, by_people)

    def _why_not(self, start: Copy, form: str, tracks: set[Key]) -> str | None:
        """Why an annotation is not followed in this form, in a sentence; None if it is."""
        if start.kind == SHAPE and self._run_writes.same_object({start.key}) & tracks:
            return f"shape {start.item['id']}: a run that was given up has made a track of it; delete it in CVAT"
        takes = self._labels[start.item["label_id"]]["type"]
        if takes not in (ANY, form):
            return f"{self._named(start)}: the label takes shapes of type {takes}, not {form}"
        return None

    def _named(self, copy: Copy) -> str:
        return f"{copy.kind} {copy.item['id']} ({self._labels[copy.item['label_id']]['name']})"

    def _unknown(self) -> Iterator[str]:
        """A sentence about the ids of ``--shapes`` that are not on the first frame; nothing if all are."""
        there = sorted({item["id"] for in_job in self._on_first for _, item, _ in found_on(in_job, self._first)})
        if unknown := sorted(set(self._options.shapes or ()) - set(there)):
            named = "those there are: " + (", ".join(map(str, there)) or "none that can be followed")
            yield f"--shapes {', '.join(map(str, unknown))}: no shape or track of frame {self._first}, {named}"

    def _of_other_forms(self) -> Iterator[str]:
        """A sentence for each form of annotations that the tracker cannot follow."""
        forms: Counter[str] = Counter()
        for in_job in self._on_first:
            items = unfollowable_on(in_job, self._first)
            forms |= Counter(form for form, item in items if self._is_wanted(item))  # jobs have copies of each other's
        for form, count in sorted(forms.items()):
            yield f"{counted(count, 'annotation')} of type {form}: only rectangles, polygons and masks are followed"

    def _is_followed(self, copies: Sequence[Copy]) -> bool:
        """Whether the run starts at a tag, and a run has followed the object through the frame already."""
        followed = AlreadyFollowed(self._annotations, self._ranges, self._run_writes)
        return self._options.tagged is not None and followed.through(copies, self._first, self._neighbours)

    def _starts(self) -> Iterator[tuple[Copy, Position]]:
        """The wanted annotations on the first frame of each job, with their positions.

        Raises BrokenShapeError for a broken one: the tracker would refuse it without saying which one it is.
        """
        for job in (job for job, shown in self._ranges.items() if self._first in shown):
            annotations = self._annotations[job]
            for kind, item in shown_on(annotations, self._first):
                if self._is_wanted(item):
                    check_shapes(kind, item)
            for kind, item, position in found_on(annotations, self._first):
                if self._is_wanted(item):
                    yield Copy(job, kind, item), position

    def _is_no_persons(self, start: tuple[Copy, Position]) -> bool:
        """Whether people have no keyframe of a track on the first frame: of two jobs that show the frame, the one in
        which they have mended it says where the object is."""
        copy = start[0]
        if copy.kind != TRACK:
            return False
        written = self._run_writes.keyframes(copy.item["id"])
        return not any(key["frame"] == self._first and key not in written for key in copy.item["shapes"])

    def _is_wanted(self, item: Mapping[str, Any]) -> bool:
        """Whether ``--labels`` and ``--shapes`` take an annotation."""
        names, ids = self._options.labels, self._options.shapes
        named = names is None or self._labels[item["label_id"]]["name"] in names
        return named and (ids is None or item["id"] in ids)


def _check_names(wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise CvatError that names the labels of ``--labels`` that the task lacks."""
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise CvatError(f"--labels: the task has no label {', '.join(map(repr, unknown))}, it has {', '.join(names)}")
