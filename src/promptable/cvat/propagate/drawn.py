"""What people left on the first frame of a run, and which of it can be followed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.geometry.position import Position, position_at
from promptable.cvat.labels.entries import ANY, listed
from promptable.cvat.plural import counted
from promptable.cvat.propagate.broken import BrokenError, check
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.followed import Followed
from promptable.cvat.propagate.journal import Ours
from promptable.cvat.propagate.objects import Copy, Object, found_on, shown_on, unfollowable_on
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.people import theirs_of
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


@dataclass(frozen=True)
class Drawn:
    """What can be followed. ``left_out`` says why the rest cannot; so many of it, ``followed``, go on as a run has
    followed them already."""

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
        ours: Ours,
    ) -> None:
        """``neighbours`` come next to ``first``. Raises CvatError."""
        self._ranges = {job.id: range(job.start_frame, job.stop_frame + 1) for job in jobs}
        self._held = {job.id: JobAnnotations(client, job.id).read() for job in jobs}
        self._labels = {int(label["id"]): label for label in listed(client, frames.task.id)}
        _check_names(options.labels or (), [str(label["name"]) for label in self._labels.values()])
        self._first = first
        self._neighbours = neighbours
        self._options = options
        self._ours = ours

    def look(self) -> Drawn:
        """Which of them can be followed. Raises CvatError, also for what is broken, and names it."""
        try:
            return self._look()
        except BrokenError as error:
            label = self._labels[error.item["label_id"]]["name"]
            raise CvatError(
                f"{error.kind} {error.item['id']} ({label}) on frame {error.frame} is broken: {error}; draw it anew or "
                "delete it in CVAT, or leave its object out: --shapes and --labels say what to follow"
            ) from None

    def _look(self) -> Drawn:
        objects: list[Object] = []
        left_out = [*self._unknown(), *self._of_other_forms()]
        followed = 0
        taken: set[int] = set()
        starts = list(self._starts())
        tracks = {(TRACK, copy.item["id"]) for copy, _ in starts if copy.kind == TRACK}
        for copies, position in _merged(starts):
            start = copies[0]
            if start.kind == SHAPE and self._ours.same_object(SHAPE, start.item["id"]) & tracks:
                left_out.append(
                    f"shape {start.item['id']}: a run that was given up has made a track of it; delete it in CVAT"
                )
                continue
            if start.kind == TRACK and start.item["id"] in taken:  # it goes on with one that was met before
                continue
            form = self._options.form or position.form
            label = self._labels[start.item["label_id"]]
            named = f"{start.kind} {start.item['id']} ({label['name']})"
            if label["type"] not in (ANY, form):
                left_out.append(f"{named}: the label takes shapes of type {label['type']}, not {form}")
                continue
            spread = self._spread(copies, taken) if start.kind == TRACK else copies
            for copy in spread:
                check(copy.kind, copy.item)
            if self._options.tagged is not None and form == position.form and self._is_followed(spread):
                left_out.append(f"{named} goes on as a run followed it")
                followed += 1
                continue
            theirs = theirs_of(spread, self._held, self._first, self._ours)
            objects.append(Object(len(objects), start.item["label_id"], form, self._first, position, spread, theirs))
        return Drawn(objects, left_out, followed)

    def _unknown(self) -> Iterator[str]:
        """What of ``--shapes`` is not there, in a sentence."""
        held = (found_on(self._held[job], self._first) for job, frames in self._ranges.items() if self._first in frames)
        there = sorted({item["id"] for found in held for _, item, _ in found})
        if unknown := sorted(set(self._options.shapes or ()) - set(there)):
            named = "those there are: " + (", ".join(map(str, there)) or "none that can be followed")
            yield f"--shapes {', '.join(map(str, unknown))}: no shape or track of frame {self._first}, {named}"

    def _of_other_forms(self) -> Iterator[str]:
        """What the tracker cannot follow, in a sentence each."""
        forms: Counter[str] = Counter()
        for job in (job for job, frames in self._ranges.items() if self._first in frames):
            items = unfollowable_on(self._held[job], self._first)
            forms |= Counter(form for form, item in items if self._is_wanted(item))  # a copy in each job
        for form, count in sorted(forms.items()):
            yield f"{counted(count, 'annotation')} of type {form}: only rectangles, polygons and masks are followed"

    def _is_followed(self, copies: Sequence[Copy]) -> bool:
        """Whether a run has followed an object through the first frame, and nobody has changed it there."""
        followed = Followed(self._held, self._ranges, self._ours)
        return followed.goes_through(copies, self._first, self._neighbours)

    def _starts(self) -> Iterator[tuple[Copy, Position]]:
        """Raises BrokenError: the tracker, which would refuse what makes no shape, cannot say whose it is."""
        for job in (job for job, frames in self._ranges.items() if self._first in frames):
            held = self._held[job]
            for kind, item in shown_on(held, self._first):
                if self._is_wanted(item):
                    check(kind, item)
            found = found_on(held, self._first)
            yield from ((Copy(job, kind, item), position) for kind, item, position in found if self._is_wanted(item))

    def _is_wanted(self, item: Mapping[str, Any]) -> bool:
        names, ids = self._options.labels, self._options.shapes
        named = names is None or self._labels[item["label_id"]]["name"] in names
        return named and (ids is None or item["id"] in ids)

    def _spread(self, copies: Sequence[Copy], taken: set[int]) -> list[Copy]:
        """With the tracks of other jobs that go on with it.

        A track is of one object alone: ``taken`` are those of objects that were met before, and grow.
        """
        found = list(copies)
        for copy in found:  # grows
            taken.add(copy.item["id"])
            for job in [number for number in self._held if number not in {one.job for one in found}]:
                free = [track for track in self._held[job]["tracks"] if track["id"] not in taken]
                found += [Copy(job, TRACK, track) for track in self._going_on(copy, job, free)][:1]
        return found

    def _going_on(self, copy: Copy, job: int, free: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Of the tracks of another job those that go on with one: a run wrote both as one object, whatever people have
        mended since; or else they overlap on the frames that the jobs share, as CVAT itself joins them."""
        alike = [track for track in free if _is_alike(copy.item, track)]
        same = self._ours.same_object(TRACK, copy.item["id"])
        written = [track for track in alike if (TRACK, track["id"]) in same]
        seam = sorted(set(self._ranges[job]) & set(self._ranges[copy.job]))
        return written or [track for track in alike if _goes_on(copy.item, track, seam)]


def _check_names(wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise CvatError that names the labels which the task lacks: nothing of them can be drawn."""
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise CvatError(f"--labels: the task has no label {', '.join(map(repr, unknown))}, it has {', '.join(names)}")


def _merged(starts: Iterable[tuple[Copy, Position]]) -> Iterator[tuple[list[Copy], Position]]:
    """Objects with their copies: two jobs that share the frame may both hold one."""
    groups: dict[tuple[Any, ...], list[tuple[Copy, Position]]] = {}
    for copy, position in starts:
        points = tuple(round(number) for number in position.points)
        groups.setdefault((copy.kind, copy.item["label_id"], position.form, points), []).append((copy, position))
    for group in groups.values():
        jobs = [copy.job for copy, _ in group]
        if len(set(jobs)) == len(jobs):
            yield [copy for copy, _ in group], group[0][1]
        else:  # people drew it twice
            yield from (([copy], position) for copy, position in group)


def _is_alike(track: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether another track is of the same label and form; skeletons have ``elements``."""
    if track["label_id"] != other["label_id"] or other.get("elements") or not other["shapes"]:
        return False
    return bool(track["shapes"][0]["type"] == other["shapes"][0]["type"])


def _goes_on(track: Mapping[str, Any], other: Mapping[str, Any], seam: Sequence[int]) -> bool:
    pairs = [(position_at(track, frame), position_at(other, frame)) for frame in seam]
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    return bool(both) and all(one.overlaps(two) for one, two in both)
