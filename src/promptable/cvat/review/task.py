"""The queue of any task, at any time: from its journal, or else from what CVAT has."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

from promptable.cvat.annotate.options import COMMAND as ANNOTATE
from promptable.cvat.journal import JournalReader, Run, up_to_date
from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.journal import COMMAND as PROPAGATE
from promptable.cvat.propagate.journal import TrackReader
from promptable.cvat.propagate.review.places import review
from promptable.cvat.review import detections, scores
from promptable.cvat.review.found import LabelFound, counted, labels_found
from promptable.cvat.review.queue import Doubt, Queue, QueuedFrame, choose, choose_from, spacing
from promptable.cvat.review.untouched import Untouched
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.frames import Frames, text_of

Jobs = Mapping[int, Sequence[int]]
"""By frame, the jobs that show it and are to be looked at, in order."""

_REACH = 0.1
"""How far doubt reaches around a threshold at least, also where it lies above ``review_below``."""


@dataclass(frozen=True)
class TaskReview:
    """A task's queue, its labels by confidence, and in sentences what it was made from and what was left out."""

    queue: Queue
    labels: Sequence[LabelFound]
    notes: Sequence[str]


def review_task(client: Any, frames: Frames, budget: int, review_below: float, *, completed: bool) -> TaskReview:
    """Read what is doubtful in a task, or in one of its jobs. ``client`` is cvat-sdk's. Raises CvatError.

    Jobs that people have completed are left out unless ``completed``.
    """
    jobs, notes = _jobs(frames, completed)
    names = {label["id"]: label["name"] for label in listed(client, task=frames.task.id)}
    path = up_to_date(client, frames.task)
    with nullcontext() if path is None else closing(TrackReader(path)) as journal:
        runs = [] if journal is None else _runs(journal)
        if journal is None or not runs:
            return _from_scores(client, frames, jobs, names, budget, review_below, notes)
        answers = _answers(journal, [run for run in runs if run.command == ANNOTATE], jobs)
        tracked = list(_from_tracks(client, journal, runs, frames, jobs))

        def chosen(doubted: list[QueuedFrame]) -> Queue:
            candidates = _joined([*doubted, *tracked])
            untouched = Untouched(client, frames, names, journal, candidates)
            return choose(candidates, budget, spacing(len(frames.numbers), budget), untouched.still)

        queue = choose_from(lambda: _from_runs(journal, answers, frames, review_below), budget, chosen)
        labels = labels_found(journal, {run.id: asked.keys() for run, asked in answers}, review_below)
    return TaskReview(queue, labels, notes)


def _runs(journal: JournalReader) -> list[Run]:
    """Those that found something and were not taken back."""
    return [run for run in journal.runs() if run.command in (ANNOTATE, PROPAGATE) and run.state != "undone"]


def _jobs(frames: Frames, completed: bool) -> tuple[dict[int, list[int]], list[str]]:
    """By frame the jobs that show it and are to be looked at, in order, and why others are left out."""
    own = [job for job in frames.jobs if not frames.is_replica(job)]
    closed = [job for job in own if text_of(job.state) == "completed" and not completed]
    there = set(frames.numbers)
    jobs: dict[int, list[int]] = defaultdict(list)
    for job in (job for job in own if job not in closed):
        for number in there.intersection(frames.shown_in(job)):
            jobs[number].append(job.id)
    notes = [f"job {job.id} is completed: --include completed takes it too" for job in closed]
    return jobs, notes


def _answers(journal: JournalReader, runs: Sequence[Run], jobs: Jobs) -> list[tuple[Run, Mapping[int, int]]]:
    """Each run with the frames of which it was the last to say something in one of their ``jobs``, and that job: one of
    them alone, or the ground truth, may be what a run was about."""
    later: set[tuple[int, int]] = set()
    answers: list[tuple[Run, Mapping[int, int]]] = []
    for run in reversed(runs):
        asked = _asked_in(journal, run, jobs)
        answers.append((run, {frame: job for frame, job in asked.items() if (frame, job) not in later}))
        later.update(asked.items())
    return answers


def _from_runs(
    journal: JournalReader, answers: Iterable[tuple[Run, Mapping[int, int]]], frames: Frames, review_below: float
) -> Iterator[QueuedFrame]:
    """What is doubtful of what runs found."""
    for run, asked in answers:
        for frame, doubts in detections.doubtful_frames(journal, run, review_below, _REACH):
            if frame in asked:
                yield QueuedFrame(frames.task.id, asked[frame], frame, doubts)


def _asked_in(journal: JournalReader, run: Run, jobs: Jobs) -> dict[int, int]:
    """By frame that a run was asked about, the first of its ``jobs`` for which it was."""
    places: dict[int, list[int]] = defaultdict(list)
    for job, frame in journal.asked_places(run.id):
        if job in jobs.get(frame, ()):
            places[frame].append(job)
    return {frame: min(there, key=jobs[frame].index) for frame, there in places.items()}


def _from_tracks(
    client: Any, journal: TrackReader, runs: Sequence[Run], frames: Frames, jobs: Jobs
) -> Iterator[QueuedFrame]:
    """Where a tracker lost an object, or was not sure."""
    for run in runs:
        if run.command == PROPAGATE and run.state == "finished":
            for place in review(client, journal, run, frames).places:
                if place.frame in jobs:
                    doubt = Doubt(place.label, place.what, place.sure, place.box)
                    yield QueuedFrame(frames.task.id, jobs[place.frame][0], place.frame, [doubt])


def _joined(candidates: Sequence[QueuedFrame]) -> list[QueuedFrame]:
    """A frame of a job once, with all its doubts."""
    of_frame: dict[tuple[int, int], list[QueuedFrame]] = defaultdict(list)
    for one in candidates:
        of_frame[one.job, one.frame].append(one)
    return [
        QueuedFrame(parts[0].task, job, frame, sorted((d for part in parts for d in part.doubts), key=_sure))
        for (job, frame), parts in of_frame.items()
    ]


def _sure(doubt: Doubt) -> float:
    return doubt.sure


def _from_scores(
    client: Any,
    frames: Frames,
    jobs: Jobs,
    names: Mapping[int, str],
    budget: int,
    review_below: float,
    notes: list[str],
) -> TaskReview:
    counts: Counter[tuple[str, int, int]] = Counter()

    def doubted() -> Iterator[QueuedFrame]:
        """Job by job, so that no two are in memory at once."""
        counts.clear()
        first = {frame: showing[0] for frame, showing in jobs.items()}
        for job in sorted(set(first.values())):
            there = JobAnnotations(client, job).read()
            shapes = [one for one in scores.scored(there) if first.get(one["frame"]) == job]
            counts.update(scores.binned(shapes, names))
            for frame, doubts in scores.doubtful_frames(shapes, names, review_below):
                yield QueuedFrame(frames.task.id, job, frame, doubts)

    apart = spacing(len(frames.numbers), budget)
    queue = choose_from(doubted, budget, lambda found: choose(found, budget, apart))
    rows = [(*place, count) for place, count in counts.items()]
    notes = [*notes, _WITHOUT_JOURNAL if rows else _WITHOUT_SCORES]
    return TaskReview(queue, counted(rows, review_below), notes)


_WITHOUT_JOURNAL = (
    "no journal of this task is here, so the scores of automatic shapes are all there is to go by: nothing is known of "
    "thresholds, of what was not uploaded, and of tracks"
)
_WITHOUT_SCORES = (
    "no journal of this task is here, and no automatic shape has a score (CVAT's own runs keep none): promptable stats "
    "shows what looks wrong by itself"
)
