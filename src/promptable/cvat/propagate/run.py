"""A run of ``promptable propagate``: begun or resumed, followed and written."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.annotate.options import check_same
from promptable.cvat.journal import Run, labels_of
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.changes.changes import Changes
from promptable.cvat.propagate.following.entrances import Entrances
from promptable.cvat.propagate.following.follower import Follower
from promptable.cvat.propagate.following.newcomers import Newcomers
from promptable.cvat.propagate.following.passes import Pass
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.options import Options
from promptable.cvat.propagate.plan import Plan
from promptable.cvat.propagate.writing.late import remove_late
from promptable.cvat.propagate.writing.twins import remove_twins
from promptable.cvat.propagate.writing.upload import Uploader
from promptable.cvat.server.errors import going_on
from promptable.cvat.server.frames import Frames
from promptable.cvat.tracking import Tracker

_OPTION_NAMES = {"first": "from", "last": "to", "form": "as", "words": "labels"}
"""The names of options on the command line, where they differ from those of ``Options``."""


def unfinished(journal: TrackJournal, options: Options) -> Run | None:
    """The unfinished run, if there is one. Raises CvatError if it has other options than these."""
    run = journal.unfinished()
    if run is not None:
        check_same(run.id, _as_on_command_line(run.options["asked"]), _as_on_command_line(options.as_json()))
    return run


def _as_on_command_line(options: Mapping[str, Any]) -> dict[str, Any]:
    return {_OPTION_NAMES.get(name, name): value for name, value in options.items() if value is not None}


def give_up(journal: TrackJournal) -> None:
    """End the unfinished runs as they are, so that they are not resumed."""
    while (left := journal.unfinished()) is not None:
        journal.end(left.id, "given up")


def begin(journal: TrackJournal, plan: Plan, options: Options, model: Mapping[str, Any]) -> Run:
    """Begin a run that carries out a plan; ``model`` is kept in the journal."""
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
    """Do what is left to do of a run, and end it. Returns sentences on what was left alone. Raises CvatError.

    After an interruption, call it again: the outcome is the same. ``client`` is cvat-sdk's.
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
