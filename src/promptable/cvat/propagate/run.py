"""A run: begun or resumed, followed, written, to its end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from promptable.cvat.annotate.options import check_same
from promptable.cvat.journal import Run, journal_path
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.follow import Follower
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.plan import Plan
from promptable.cvat.propagate.write import Writer
from promptable.cvat.propagate.writes import Writes
from promptable.cvat.server.frames import Frames
from promptable.cvat.tracking import Tracker


@contextmanager
def journal_of(client: Any, task: Any) -> Iterator[TrackJournal]:
    """The journal of a task (cvat-sdk's), with nobody else at work on it. Raises CvatError."""
    journal = TrackJournal(journal_path(client.api_map.host, task.id, str(task.created_date)))
    try:
        with journal.alone():
            yield journal
    finally:
        journal.close()


def unfinished(journal: TrackJournal, options: Options) -> Run | None:
    """The run that these options go on with. Raises CvatError where they are not the same."""
    run = journal.unfinished()
    if run is not None:
        check_same(run.id, run.options["asked"], options.as_json())
    return run


def begin(journal: TrackJournal, plan: Plan, options: Options, model: Mapping[str, Any]) -> Run:
    """A new run of a plan."""
    passes = {str(direction): list(frames) for direction, frames in plan.passes.items()}
    return journal.begin_objects({"asked": options.as_json(), "passes": passes}, model, plan.objects)


def carry_out(
    client: Any, journal: TrackJournal, run: Run, frames: Frames, tracker: Tracker, options: Options
) -> Sequence[str]:
    """Do what a run has not done yet, and end it; returns what was left alone, in sentences. Raises CvatError.

    Stopped at any point, it can be called again and the outcome is the same.
    """
    ways = {int(direction): way for direction, way in run.options["passes"].items()}
    left_out: Sequence[str] = ()
    if run.state == "running":
        follower = Follower(tracker, frames, journal.objects(run.id), restart=options.restart_at_keyframes)
        with Progress() as progress:
            for direction, way in ways.items():
                follower.follow(journal, run.id, direction, way, progress)
        writes = Writes(client, frames, journal, run.id, options)
        planned = writes.plan(next(iter(ways.values()))[0])
        left_out = writes.left_out
        journal.plan_writes(run.id, planned)
    Writer(client, journal).write(run.id)
    journal.end(run.id, "finished")
    return left_out
