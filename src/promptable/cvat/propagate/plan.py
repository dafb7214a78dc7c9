"""Which objects a run follows through which frames, and what it leaves alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.geometry.position import MASK, Placed
from promptable.cvat.propagate.drawn import DrawnShapes
from promptable.cvat.propagate.following.newcomers import Known, Newcomers
from promptable.cvat.propagate.following.pictures import picture_of
from promptable.cvat.propagate.jobs import why_left_alone
from promptable.cvat.propagate.journal import RunWrites
from promptable.cvat.propagate.objects import Object
from promptable.cvat.propagate.options import Options, wrong_way
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


class NothingToFollowError(CvatError):
    """The first frame has no object that can be followed."""


class AllFollowedError(CvatError):
    """A run has followed all objects of a tagged frame already."""


@dataclass(frozen=True)
class Plan:
    """``objects`` are followed through the frames of each pass, in their order. ``left_out`` are sentences.

    ``passes`` are by direction: 1, towards later frames, or -1. Each begins with the run's first frame.
    """

    objects: Sequence[Object]
    passes: Mapping[int, Sequence[int]]
    left_out: Sequence[str]

    @property
    def frames(self) -> int:
        """How many frames are tracked; the first frame does not count."""
        return sum(len(frames) - 1 for frames in self.passes.values())

    @property
    def met(self) -> list[int]:
        """The first frame, for each object and pass, on which people have the object already; sorted."""
        ways = [(one, way[1:]) for one in self.objects for way in self.passes.values()]
        first = (next((frame for frame in frames if frame in one.by_people), None) for one, frames in ways)
        return sorted(frame for frame in first if frame is not None)


def make_plan(
    client: Any, frames: Frames, options: Options, run_writes: RunWrites, newcomers: Newcomers | None = None
) -> Plan:
    """Plan a run from the jobs and their annotations; nothing is written. ``client`` is cvat-sdk's.

    ``newcomers`` looks for new objects on the first frame. Raises CvatError, of which NothingToFollowError and
    AllFollowedError are about the first frame.
    """
    why = {job.id: why_left_alone(job, options) for job in frames.jobs}
    jobs = [job for job in frames.jobs if why[job.id] is None]
    left_out = [sentence for sentence in why.values() if sentence is not None]
    if not jobs:
        raise CvatError("; ".join(left_out) or "there is no job")
    first = _first_of(frames, jobs) if options.first is None else options.first
    frames.frame(first)  # raises CvatError if it does not exist
    ways = passes(frames, jobs, first, options)
    neighbours = [frame for way in ways.values() for frame in way[1:2]]
    drawn = DrawnShapes(client, frames, jobs, first, neighbours, options, run_writes).look()
    objects = list(drawn.objects)
    left_out += drawn.left_out
    if newcomers is not None:
        known = Known(objects, [Placed(one.label_id, one.start) for one in objects])
        objects += newcomers.look(picture_of(frames, first), known, len(objects)).joined
    if not objects and options.every is None:
        raise _nothing_to_follow(first, left_out, is_followed=drawn.followed > 0)
    _check_forms(frames, objects, options)
    return Plan(objects, ways, left_out)


def _nothing_to_follow(first: int, left_out: Sequence[str], *, is_followed: bool) -> CvatError:
    reasons = "; ".join(left_out)
    if is_followed:
        return AllFollowedError(reasons)
    remedy = "draw a rectangle, polygon or mask there first, or look for words with --detect"
    return NothingToFollowError(f"there is nothing to follow on frame {first}: {reasons or remedy}")


def _check_forms(frames: Frames, objects: Iterable[Object], options: Options) -> None:
    """Raise CvatError if the run would write tracks into a task in which CVAT stores none."""
    are_tracks = any(one.form != MASK for one in objects) or (options.every is not None and options.form != MASK)
    if are_tracks and not frames.takes_tracks:
        raise CvatError(
            f"task {frames.task.id} tests annotators with honeypots (gt_pool), and CVAT stores no tracks in such a "
            "task: --as mask gives a mask on every frame"
        )


def _first_of(frames: Frames, jobs: Iterable[Any]) -> int:
    """The first frame of these jobs that is not deleted; the first deleted one if all are."""
    starts = [range(job.start_frame, job.stop_frame + 1) for job in jobs]
    return min((number for number in frames.numbers for start in starts if number in start), default=starts[0].start)


def passes(frames: Frames, jobs: Iterable[Any], first: int, options: Options) -> dict[int, list[int]]:
    """The frames of each pass, by direction, from ``first`` to the last one asked for that a job shows.

    Raises CvatError if that one lies on the other side of ``first``.
    """
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
