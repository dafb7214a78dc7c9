"""A run: begun or resumed, followed, written, to its end."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.annotate.options import check_same
from promptable.cvat.journal import Run, labels_of
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.following.entrances import Entrances
from promptable.cvat.propagate.following.follower import Follower
from promptable.cvat.propagate.following.passes import Pass
from promptable.cvat.propagate.following.words import Newcomers
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.plan import Plan
from promptable.cvat.propagate.writing.changes import Changes
from promptable.cvat.propagate.writing.late import remove_late
from promptable.cvat.propagate.writing.twins import remove_twins
from promptable.cvat.propagate.writing.upload import Uploader
from promptable.cvat.server.errors import going_on
from promptable.cvat.server.frames import Frames
from promptable.cvat.tracking import Tracker

_OPTIONS = {"first": "from", "last": "to", "form": "as", "words": "labels"}
"""What people call an option, where it is not the field's name."""


def unfinished(journal: TrackJournal, options: Options) -> Run | None:
    """The run that these options go on with. Raises CvatError where they are not the same."""
    run = journal.unfinished()
    if run is not None:
        check_same(run.id, _as_people_say(run.options["asked"]), _as_people_say(options.as_json()))
    return run


def _as_people_say(options: Mapping[str, Any]) -> dict[str, Any]:
    return {_OPTIONS.get(name, name): value for name, value in options.items() if value is not None}


def give_up(journal: TrackJournal) -> None:
    """Leave unfinished runs as they are: nothing goes on with them any more."""
    while (left := journal.unfinished()) is not None:
        journal.end(left.id, "given up")


def begin(journal: TrackJournal, plan: Plan, options: Options, model: Mapping[str, Any]) -> Run:
    """A new run of a plan."""
    passes = {str(direction): list(frames) for direction, frames in plan.passes.items()}
    return journal.begin_objects({"asked": options.as_json(), "passes": passes}, model, plan.objects)


@going_on()
def carry_out(
    client: Any,
    journal: TrackJournal,
    run: Run,
    frames: Frames,
    tracker: Tracker,
    newcomers: Newcomers | None,
    options: Options,
) -> Sequence[str]:
    """Do what a run has not done yet, and end it; returns what was left alone, in sentences. Raises CvatError.

    Stopped at any point, it can be called again and the outcome is the same.
    """
    left_out: list[str] = []
    if run.state == "following":
        _follow(journal, run, frames, tracker, newcomers, options)
        journal.follow_labels(labels_of(client, frames.task))
        remove_late(client, journal, frames.task.id)
        changes = Changes(client, frames, journal, run.id, options)
        journal.plan_writes(run.id, changes.requests(), changes.highest_ids)
        left_out = changes.left_out
    with Progress() as progress:
        uploader = Uploader(client, journal, frames.task.id, progress.waits_for)
        closed = uploader.send(run.id, completed=options.include is not None)
    left_out += [f"job {job}: people have handed it in before all was written into it" for job in closed]
    remove_late(client, journal, frames.task.id)
    left_out += remove_twins(client, journal, run.id, frames.task.id, completed=options.include is not None)
    journal.end(run.id, "finished")
    return left_out


def _follow(
    journal: TrackJournal, run: Run, frames: Frames, tracker: Tracker, newcomers: Newcomers | None, options: Options
) -> None:
    passes = [Pass(journal, run.id, int(direction), way) for direction, way in run.options["passes"].items()]
    with Progress() as progress:
        for one in passes:
            follower = Follower(
                tracker,
                frames,
                one,
                restart=options.restart_at_keyframes,
                newcomers=newcomers,
                every=options.every or 1,
            )
            follower.follow(progress)
        for one in passes if newcomers is not None else ():
            Entrances(tracker, frames, one.back()).follow(progress)
