"""Which objects a run follows through which frames, and what it leaves alone. Nothing is written here."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.geometry.position import MASK, Placed
from promptable.cvat.propagate.drawn import DrawnShapes
from promptable.cvat.propagate.following.pictures import picture_of
from promptable.cvat.propagate.following.words import Known, Newcomers
from promptable.cvat.propagate.jobs import why_left_alone
from promptable.cvat.propagate.journal import Ours
from promptable.cvat.propagate.objects import Object
from promptable.cvat.propagate.options import Options, wrong_way
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


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
    why = {job.id: why_left_alone(job, options) for job in frames.jobs}
    jobs = [job for job in frames.jobs if why[job.id] is None]
    left_out = [sentence for sentence in why.values() if sentence is not None]
    if not jobs:
        raise CvatError("; ".join(left_out) or "there is no job")
    first = _first_of(frames, jobs) if options.first is None else options.first
    frames.frame(first)  # raises where there is none
    ways = passes(frames, jobs, first, options)
    neighbours = [frame for way in ways.values() for frame in way[1:2]]
    drawn = DrawnShapes(client, frames, jobs, first, neighbours, options, ours).look()
    objects = list(drawn.objects)
    left_out += drawn.left_out
    if newcomers is not None:
        known = Known(objects, [Placed(one.label_id, one.start) for one in objects])
        objects += newcomers.look(picture_of(frames, first), known, len(objects)).joined
    if not objects and options.every is None:
        if drawn.followed:
            raise AllFollowedError("; ".join(left_out))
        reasons = (
            "; ".join(left_out) or "draw a rectangle, polygon or mask there first, or look for words with --detect"
        )
        raise NothingToFollowError(f"there is nothing to follow on frame {first}: {reasons}")
    _check_forms(frames, objects, options)
    return Plan(objects, ways, left_out)


def _check_forms(frames: Frames, objects: Iterable[Object], options: Options) -> None:
    """Raise CvatError where tracks would come of a run, and the task takes none."""
    are_tracks = any(one.form != MASK for one in objects) or (options.every is not None and options.form != MASK)
    if are_tracks and not frames.takes_tracks:
        raise CvatError(
            f"task {frames.task.id} tests annotators with honeypots (gt_pool), and CVAT stores no tracks in such a "
            "task: --as mask gives a mask on every frame"
        )


def _first_of(frames: Frames, jobs: Iterable[Any]) -> int:
    """The first frame of these jobs that is not deleted; one that is where all are."""
    starts = [range(job.start_frame, job.stop_frame + 1) for job in jobs]
    return min((number for number in frames.numbers for start in starts if number in start), default=starts[0].start)


def passes(frames: Frames, jobs: Iterable[Any], first: int, options: Options) -> dict[int, list[int]]:
    """The frames of each direction, from ``first`` to the last one that a job shows. Raises CvatError."""
    shown = {number for job in jobs for number in range(job.start_frame, job.stop_frame + 1)} & set(frames.numbers)
    steps = options.direction.steps
    ways = {}
    for step in steps:
        farthest = max(shown) if step > 0 else min(shown)
        asked = farthest if options.last is None or len(steps) > 1 else options.last
        end = min(asked, farthest) if step > 0 else max(asked, farthest)
        if (why := wrong_way(first, end, step)) is not None:
            raise CvatError(why)
        way = [number for number in frames.numbers if first * step <= number * step <= end * step]
        ways[step] = way[::step]
    return ways
