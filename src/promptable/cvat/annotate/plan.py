"""Which frames of which jobs a run asks about, and what it leaves alone."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.annotate.options import Include, Mode, Options, parse_frames
from promptable.cvat.labels.task_labels import TaskLabels
from promptable.cvat.plural import counted, ranges
from promptable.cvat.seams import Seams, told_elsewhere
from promptable.cvat.server.annotations import JobAnnotations, annotated_frames
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames, is_replica, text_of
from promptable.cvat.server.jobs import OPEN

_LAST_FRAME = 2**31
"""Above every frame number of CVAT; a part of ``--frames`` with an open end reaches beyond it."""


class NothingToAskError(CvatError):
    """A task has nothing that these options are about: others of its project may have."""


@dataclass(frozen=True)
class Plan:
    """``frames_of`` are the frames to ask about, by job, in order; ``left_out`` are sentences on what is left alone."""

    frames_of: Mapping[int, Sequence[int]]
    left_out: Sequence[str]

    @property
    def frames(self) -> int:
        """How many frames are asked about; a frame that two jobs share counts once."""
        return len(set().union(*self.frames_of.values()))

    @property
    def places(self) -> Iterator[tuple[int, int]]:
        """(job, frame) of every frame to ask about."""
        return ((job, number) for job, numbers in self.frames_of.items() for number in numbers)


def make_plan(client: Any, frames: Frames, labels: TaskLabels, options: Options) -> Plan:
    """Plan a run from jobs and annotations, without writing anything. ``client`` is cvat-sdk's. Raises CvatError."""
    named = frozenset(frames.numbers) if options.frames is None else named_frames(frames, options.frames)
    left_out = [] if options.frames is None else list(unknown_frames(frames, options.frames))
    left_out += _left_out(frames, named, options)
    wanted = named if Include.HONEYPOTS in options.include else named - frames.honeypots
    seams, frames_of = Seams(client, frames), {}
    written = [job.id for job in frames.jobs if why_left_alone(job, options) is None]
    for job in frames.jobs:
        if (why := why_left_alone(job, options)) is not None:
            left_out.append(why)
            continue
        own = wanted.intersection(frames.shown_in(job))
        if taken := _taken(client, job, labels, options) & own:
            left_out.append(f"job {job.id}: {counted(len(taken), 'frame')} with annotations ({ranges(sorted(taken))})")
        own -= taken
        skips = options.mode is Mode.SKIP_ANNOTATED
        if beside := seams.beside(job.id, unless=() if skips else written) & own:
            left_out.append(told_elsewhere((job.id, beside)))
        frames_of[job.id] = sorted(own - beside if skips else own)
    return Plan(_limited(frames_of, options.limit), left_out)


def why_left_alone(job: Any, options: Options) -> str | None:
    """Why a run leaves a job alone, in a sentence; None if it does not."""
    state = text_of(job.state)
    if is_replica(job) and options.job is None:
        return f"job {job.id} is a replica of another job: --job {job.id} annotates it"
    if state in OPEN or Include.COMPLETED in options.include:
        return None
    return f"job {job.id} is {state}: {_told(Include.COMPLETED)}"


def annotated(annotations: Mapping[str, Any], labels: TaskLabels, stop_frame: int) -> set[int]:
    """The frames with annotations; tags that only mark frames, such as ``needs-review``, do not count."""
    marks = {label.id for name in labels.marks if (label := labels.get(name)) is not None}
    tags = [tag for tag in annotations["tags"] if tag["label_id"] not in marks]
    return annotated_frames({**annotations, "tags": tags}, stop_frame)


def named_frames(frames: Frames, text: str) -> frozenset[int]:
    """The frames that ``--frames`` names, such as 0-99,120,200-. Raises NothingToAskError if none of them exists."""
    named = frozenset[int]().union(*(_within(part, frames) for part in parse_frames(text)))
    if not named:
        raise NothingToAskError(f"--frames {text} names no frame of the task, which has {ranges(frames.numbers)}")
    return named


def unknown_frames(frames: Frames, text: str) -> Iterator[str]:
    """A sentence about the parts of ``--frames`` that name no existing frame; nothing if there are none."""
    parts = [part for part in parse_frames(text) if not _within(part, frames)]
    if parts:
        named = ", ".join(str(part.start) if len(part) == 1 else f"{part.start}-{_end(part)}" for part in parts)
        yield f"--frames names {named}, and the task has frames {ranges(frames.numbers)}"


def _within(part: range, frames: Frames) -> Sequence[int]:
    """The existing frames in ``part``."""
    numbers = frames.numbers  # sorted: --frames may have thousands of parts, so none of them is searched frame by frame
    return numbers[bisect_left(numbers, part.start) : bisect_left(numbers, part.stop)]


def _end(part: range) -> str:
    return "" if part.stop > _LAST_FRAME else str(part.stop - 1)


def _left_out(frames: Frames, named: frozenset[int], options: Options) -> Iterator[str]:
    """Sentences about what is left alone whatever the jobs contain: honeypots, deleted frames, the ground truth."""
    honeypots = sorted(frames.honeypots & named)
    if honeypots and Include.HONEYPOTS not in options.include:
        yield f"{counted(len(honeypots), 'frame')} to test annotators ({ranges(honeypots)}): {_told(Include.HONEYPOTS)}"
    if frames.deleted:
        yield f"{counted(len(frames.deleted), 'deleted frame')} ({ranges(frames.deleted)}): {_told(Include.DELETED)}"
    if frames.ground_truth_jobs:
        jobs = ", ".join(map(str, frames.ground_truth_jobs))
        yield f"the ground truth, job {jobs}: {_told(Include.GROUND_TRUTH)}"


def _told(included: Include) -> str:
    return f"--include {included} takes it too"


def _taken(client: Any, job: Any, labels: TaskLabels, options: Options) -> set[int]:
    """The frames of a job that are skipped since they have annotations. Raises CvatError."""
    if options.mode is not Mode.SKIP_ANNOTATED:
        return set()
    return annotated(JobAnnotations(client, job.id).read(), labels, job.stop_frame)


def _limited(frames_of: Mapping[int, Sequence[int]], limit: int | None) -> Mapping[int, Sequence[int]]:
    """``frames_of`` with only the first ``limit`` frames, in every job that shows them."""
    if limit is None:
        return frames_of
    kept = set(sorted(set().union(*frames_of.values()))[:limit])
    return {job: [number for number in numbers if number in kept] for job, numbers in frames_of.items()}
