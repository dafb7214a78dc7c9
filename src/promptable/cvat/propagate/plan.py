"""Which objects a run follows through which frames, and what it leaves alone. Nothing is written here."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.annotate.plan import OPEN
from promptable.cvat.geometry.position import Placed, Position, position_at
from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.content import TRACK
from promptable.cvat.propagate.followed import Followed
from promptable.cvat.propagate.following.pictures import picture_of
from promptable.cvat.propagate.following.words import Known, Newcomers
from promptable.cvat.propagate.journal import Ours
from promptable.cvat.propagate.objects import Copy, Object, found_on
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.people import theirs_of
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames, text_of


class NothingToFollowError(CvatError):
    """A frame has no object that can be followed."""


class AllFollowedError(CvatError):
    """All objects of a tagged frame go on as a run followed them."""


@dataclass(frozen=True)
class Plan:
    """``passes`` are the frames in the order of following, by direction, 1 or -1; each begins with the first frame."""

    objects: Sequence[Object]
    passes: Mapping[int, Sequence[int]]
    left_out: Sequence[str]

    @property
    def frames(self) -> int:
        """How many frames are asked about beside the first."""
        return sum(len(frames) - 1 for frames in self.passes.values())

    @property
    def met(self) -> list[int]:
        """For each object that people have further on its way, the first frame on which they do; in order."""
        on_the_way = (
            (frame for frame in way[1:] if frame in one.theirs) for one in self.objects for way in self.passes.values()
        )
        return sorted(frame for frames in on_the_way for frame in itertools.islice(frames, 1))


def make_plan(client: Any, frames: Frames, options: Options, ours: Ours, newcomers: Newcomers | None = None) -> Plan:
    """Look at jobs and annotations, and for ``newcomers`` on the first frame. ``client`` is cvat-sdk's.

    Raises CvatError.
    """
    left_out: list[str] = []
    jobs = [job for job in frames.jobs if _is_open(job, options, left_out)]
    if not jobs:
        raise CvatError("; ".join(left_out) or "there is no job")
    first = min(job.start_frame for job in jobs) if options.first is None else options.first
    frames.frame(first)  # raises where there is none
    ways = passes(frames, jobs, first, options)
    neighbours = [frame for way in ways.values() for frame in way[1:2]]
    drawn = _Drawn(client, frames, jobs, first, neighbours, options, ours)
    objects = drawn.objects(left_out)
    if newcomers is not None:
        known = Known(objects, [Placed(one.label_id, one.start) for one in objects])
        objects += newcomers.look(picture_of(frames, first), known, len(objects)).joined
    if not objects and options.every is None:
        if drawn.followed:
            raise AllFollowedError("; ".join(left_out))
        why = "; ".join(left_out) or "draw a rectangle, polygon or mask there first, or look for words with --detect"
        raise NothingToFollowError(f"there is nothing to follow on frame {first}: {why}")
    return Plan(objects, ways, left_out)


def passes(frames: Frames, jobs: Iterable[Any], first: int, options: Options) -> dict[int, list[int]]:
    """The frames of each direction, from ``first`` to the last one that a job shows. Raises CvatError."""
    shown = {number for job in jobs for number in range(job.start_frame, job.stop_frame + 1)} & set(frames.numbers)
    steps = options.direction.steps
    ways = {}
    for step in steps:
        farthest = max(shown) if step > 0 else min(shown)
        asked = farthest if options.last is None or len(steps) > 1 else options.last
        end = min(asked, farthest) if step > 0 else max(asked, farthest)
        if (end - first) * step < 0:
            raise CvatError(f"--to {end} lies before --from {first}: --backward follows towards earlier frames")
        way = sorted(number for number in frames.numbers if first * step <= number * step <= end * step)
        ways[step] = way[::step]
    return ways


def _is_open(job: Any, options: Options, left_out: list[str]) -> bool:
    state, kind = text_of(job.state), text_of(job.type)
    if kind != "annotation" and options.job is None:
        left_out.append(f"job {job.id} is a {kind.replace('_', ' ')} job")
        return False
    if state not in OPEN and options.include is None:
        left_out.append(f"job {job.id} is {state}: --include completed takes it too")
        return False
    return True


def _check_names(wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise CvatError that names the labels which the task lacks: nothing of them can be drawn."""
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise CvatError(f"--labels: the task has no label {', '.join(map(repr, unknown))}, it has {', '.join(names)}")


class _Drawn:
    """What people left on the first frame."""

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
        self.followed = 0  # objects that go on as a run followed them
        self._options = options
        self._ours = ours

    def objects(self, left_out: list[str]) -> list[Object]:
        """All that can be followed; why others cannot comes into ``left_out``."""
        objects: list[Object] = []
        taken: set[int] = set()
        for copies, position in _merged(self._starts()):
            start = copies[0]
            if start.kind == TRACK and start.item["id"] in taken:  # it goes on with one that was met before
                continue
            form = self._options.form or position.form
            label = self._labels[start.item["label_id"]]
            if label["type"] not in ("any", form):
                why = f"the label takes shapes of type {label['type']}, not {form}"
                left_out.append(f"{start.kind} {start.item['id']} ({label['name']}): {why}")
                continue
            spread = self._spread(copies, taken) if start.kind == TRACK else copies
            if self._options.tagged is not None and form == position.form and self._is_followed(spread):
                left_out.append(f"{start.kind} {start.item['id']} ({label['name']}) goes on as a run followed it")
                self.followed += 1
                continue
            theirs = theirs_of(spread, self._held, self._first, self._ours)
            objects.append(Object(len(objects), start.item["label_id"], form, self._first, position, spread, theirs))
        return objects

    def _is_followed(self, copies: Sequence[Copy]) -> bool:
        """Whether a run has followed an object through the first frame, and nobody has changed it there."""
        followed = Followed(self._held, self._ranges, self._ours)
        return followed.goes_through(copies, self._first, self._neighbours)

    def _starts(self) -> Iterator[tuple[Copy, Position]]:
        for job in (job for job, frames in self._ranges.items() if self._first in frames):
            for kind, item, position in found_on(self._held[job], self._first):
                if self._is_wanted(item):
                    yield Copy(job, kind, item), position

    def _is_wanted(self, item: Mapping[str, Any]) -> bool:
        names, ids = self._options.labels, self._options.shapes
        named = names is None or self._labels[item["label_id"]]["name"] in names
        return named and (ids is None or item["id"] in ids)

    def _spread(self, copies: Sequence[Copy], taken: set[int]) -> list[Copy]:
        """With the tracks of other jobs that go on with it: there they overlap, as CVAT itself joins them.

        A track is of one object alone: ``taken`` are those of objects that were met before, and grow.
        """
        found = list(copies)
        for copy in found:  # grows
            taken.add(copy.item["id"])
            for job in [number for number in self._held if number not in {one.job for one in found}]:
                seam = sorted(set(self._ranges[job]) & set(self._ranges[copy.job]))
                free = (track for track in self._held[job]["tracks"] if track["id"] not in taken)
                found += [Copy(job, TRACK, track) for track in free if _goes_on(copy.item, track, seam)][:1]
        return found


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


def _goes_on(track: Mapping[str, Any], other: Mapping[str, Any], seam: Sequence[int]) -> bool:
    if not seam or track["label_id"] != other["label_id"] or other.get("elements"):
        return False
    pairs = [(position_at(track, frame), position_at(other, frame)) for frame in seam if other["shapes"]]
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    return bool(both) and all(one.form == two.form and one.overlaps(two) for one, two in both)
