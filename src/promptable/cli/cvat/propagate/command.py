"""What the command does: a run, one from each tagged frame, or a look back at one."""

import argparse
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.options import connected, function_of
from promptable.cli.cvat.outcome import told_and_resumable
from promptable.cli.cvat.propagate.arguments import check_together, options_of
from promptable.cli.cvat.propagate.output import report, review, say_plan
from promptable.cli.cvat.undo import check_no_dry_run, run_of, say_may_arrive, say_taken, say_withdrawn
from promptable.cli.terminal import DONE, WRONG, complain, left_alone, say
from promptable.cvat.plural import counted
from promptable.cvat.propagate.options import Options

if TYPE_CHECKING:
    from promptable.cvat.journal import Run
    from promptable.cvat.propagate.following.newcomers import Newcomers
    from promptable.cvat.propagate.journal import TrackJournal
    from promptable.cvat.server.frames import Frames
    from promptable.cvat.tracking import Tracker

    _Models = Callable[[], tuple[Tracker, Newcomers | None]]


def propagate(parsed: argparse.Namespace) -> int:
    """The exit status: 0 when all is done, 2 for wrong options, 1 for what is refused, 130 after Ctrl-C."""
    return told_and_resumable("propagate", lambda: _propagate(parsed))


def _propagate(parsed: argparse.Namespace) -> int:
    from promptable.cvat.propagate.journal import COMMAND, TrackJournal
    from promptable.cvat.server.frames import Frames

    check_no_dry_run(parsed)
    check_together(parsed)
    with connected(parsed, writes=not parsed.dry_run) as client:
        frames = Frames(client, task=parsed.task, job=parsed.job)
        with TrackJournal.of_task(client, frames.task) as journal:
            if parsed.undo is not None:
                return _undo(parsed, client, journal, frames)
            if parsed.review is not None:
                return review(parsed, client, frames, journal, journal.run(parsed.review, COMMAND))
            run = _run if parsed.tagged is None else _run_tagged
            return run(parsed, client, frames, journal, cache(partial(_models, parsed, client, frames)))


def _undo(parsed: argparse.Namespace, client: Any, journal: "TrackJournal", frames: "Frames") -> int:
    from promptable.cvat.journal.opened_issues import withdraw_issues
    from promptable.cvat.progress import Progress
    from promptable.cvat.propagate.journal import COMMAND
    from promptable.cvat.propagate.writing.undo import undo

    run, completed = run_of(client, frames, COMMAND, parsed.undo), parsed.include is not None
    if run is None:
        say("no run is left to take back")
        return DONE
    with Progress() as progress:
        taken = undo(client, journal, run, frames.task.id, progress, completed=completed)
    what = f"{counted(taken.gone, 'annotation')} taken back"
    say_taken(run, what, taken, f"--undo {run} --include completed takes that back too")
    say_withdrawn(withdraw_issues(client, journal, run, completed=completed))
    if any(write.run == run for write, _ in journal.late_writes()):
        say_may_arrive(COMMAND, run)
    return DONE


def _run_tagged(
    parsed: argparse.Namespace, client: Any, frames: "Frames", journal: "TrackJournal", models: "_Models"
) -> int:
    """A run from each frame that is tagged so, which then loses the tag."""
    from promptable.cvat.propagate.jobs import why_left_alone
    from promptable.cvat.propagate.plan import AllFollowedError, NothingToFollowError
    from promptable.cvat.propagate.start_tags import last_run, tagged_frames, untag

    status, stopped = DONE, journal.unfinished()
    began = None if stopped is None else stopped.options["asked"]["first"]
    options = options_of(parsed)
    tagged = tagged_frames(client, frames, options, began)
    if not tagged:
        for why in filter(None, (why_left_alone(job, options) for job in frames.jobs)):
            left_alone(why)
        say(f"no frame is tagged {parsed.tagged!r}")
    for frame in tagged:
        say(f"from frame {frame}")
        parsed.first = frame
        try:
            _run(parsed, client, frames, journal, models)
            if not parsed.dry_run and journal.came_to_nothing(last_run(journal)):
                left_alone(f"the tag of frame {frame}, since nothing was written")
                continue
        except AllFollowedError as error:
            left_alone(str(error))
        except NothingToFollowError as error:
            complain("propagate", f"{error}; it keeps its tag")
            status = WRONG
            continue
        if not parsed.dry_run:
            untag(client, frames, journal, options, frame)
    return status


def _run(parsed: argparse.Namespace, client: Any, frames: "Frames", journal: "TrackJournal", models: "_Models") -> int:
    from promptable.cvat.propagate import run as runs
    from promptable.cvat.propagate.plan import make_plan

    options = options_of(parsed)
    if parsed.dry_run:
        if parsed.function is not None or parsed.via_cvat is not None:
            models()[0].check()
        say_plan(make_plan(client, frames, options, journal.run_writes()), frames, options, "would be followed")
        return DONE
    if parsed.new_run:
        runs.give_up(journal)
    run = runs.unfinished(journal, options)
    tracker, newcomers = models()
    if run is None:
        run = _begun(client, frames, journal, options, tracker, newcomers)
    else:
        say(f"going on with run {run.id}")
    sys.stdout.flush()
    for sentence in runs.carry_out(client, journal, run, frames, tracker, newcomers, options):
        left_alone(sentence)
    report(journal, run.id)
    return review(parsed, client, frames, journal, run)


def _begun(
    client: Any,
    frames: "Frames",
    journal: "TrackJournal",
    options: Options,
    tracker: "Tracker",
    newcomers: "Newcomers | None",
) -> "Run":
    """A new run, whose plan is in the journal. Raises CvatError."""
    from promptable.cvat.propagate.plan import make_plan
    from promptable.cvat.propagate.run import begin
    from promptable.cvat.propagate.writing.late import remove_late

    remove_late(client, journal, frames.task.id)
    plan = make_plan(client, frames, options, journal.run_writes(), newcomers)
    say_plan(plan, frames, options, "to follow")
    tracker.check()  # another function's address would leave a run that refuses the right one
    run = begin(journal, plan, options, {"function": repr(tracker.function)})
    say(f"run {run.id}")
    return run


def _models(parsed: argparse.Namespace, client: Any, frames: "Frames") -> "tuple[Tracker, Newcomers | None]":
    """The tracker, and what looks for new objects if that is wanted. Raises CvatError."""
    from promptable.cvat.functions import Source
    from promptable.cvat.propagate.following.newcomers import Newcomers
    from promptable.cvat.tracking import Tracker

    source = Source(frames.task.id, parsed.job)
    tracker = Tracker(function_of(parsed, client, source, kind="tracker"))
    if parsed.detect is None:
        return tracker, None
    detector = function_of(parsed, client, source, where=parsed.detect or None)
    return tracker, Newcomers(client, frames, detector, options_of(parsed))
