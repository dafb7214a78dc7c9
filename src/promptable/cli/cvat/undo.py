"""``--undo``: which run of a task is taken back. Runs are numbered task by task."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from promptable.cli.cvat.source import sources
from promptable.cli.terminal import left_alone, say, show
from promptable.cvat.plural import counted, ranges
from promptable.cvat.server.errors import OptionError

if TYPE_CHECKING:
    from promptable.cvat.journal import Run
    from promptable.cvat.server.frames import Frames
    from promptable.cvat.server.jobs import TakenBack

_LAST: Literal["last"] = "last"
_UNFINISHED = "unfinished"
METAVAR = "RUN|last"


def which_run(text: str) -> int | Literal["last"]:
    """A run's number, or ``last``."""
    if text == _LAST:
        return _LAST
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a run's number or {_LAST}, got {text!r}")
    return int(text)


def run_of(client: Any, frames: "Frames", command: str, asked: int | Literal["last"]) -> int | None:
    """The number of the run that is meant, None where a task has none of this command left to take back."""
    if isinstance(asked, int):
        return asked
    return next((run.id for run in _newest_first(client, frames, command) if run.state != "undone"), None)


def runs_meant(parsed: argparse.Namespace, client: Any, command: str) -> "Iterator[tuple[Frames, int]]":
    """The run that is meant of the task, or the last one of each of the project's tasks, which are named.

    Raises OptionError where a number stands for another run in each task.
    """
    _check_meant(parsed, client, sources(parsed, client, lambda _: None), command)
    for frames in sources(parsed, client, left_alone):
        say_task(parsed, frames)
        run = run_of(client, frames, command, parsed.undo)
        if run is None:
            say("no run is left to take back")
        else:
            yield frames, run


def say_task(parsed: argparse.Namespace, frames: "Frames") -> None:
    """Name a task of a project."""
    if parsed.project is not None:
        say(f"task {frames.task.id}, {frames.task.name}")


def _check_meant(parsed: argparse.Namespace, client: Any, tasks: "Iterable[Frames]", command: str) -> None:
    """Raise OptionError, with the runs of a project's tasks shown, where a number stands for another run in each."""
    if parsed.project is None or not isinstance(parsed.undo, int):
        return
    rows = [
        (frames.task.id, run.id, run.begun, _UNFINISHED if run.state == "running" else run.state)
        for frames in tasks
        for run in _newest_first(client, frames, command)
    ]
    show(("task", "run", "begun", "state"), rows)
    raise OptionError(
        f"run {parsed.undo} is another one in each task of the project: --undo {_LAST} takes back the last one of "
        f"each, --task N --undo {parsed.undo} that of a task"
    )


def check_no_dry_run(parsed: argparse.Namespace) -> None:
    """Raise OptionError where both are asked for: a run would be taken back in earnest."""
    if parsed.dry_run and parsed.undo is not None:
        raise OptionError("--undo deletes what a run wrote, and --dry-run deletes nothing: leave out one of them")


def say_taken(run: int, what: str, taken: "TakenBack", remedy: str) -> None:
    """What is gone of a run, in words (``what``), what is there again, and what is not so, and why.

    ``remedy`` takes the run from jobs that people have handed in.
    """
    say(f"run {run}: {what}{f', {taken.back} put back' if taken.back else ''}")
    if taken.left:
        left_alone(f"{counted(taken.left, 'annotation')} that people have changed")
    say_closed(taken, remedy)
    for why, count in taken.lost.items():
        say(f"not put back: {counted(count, 'annotation')} {why}")


def say_closed(taken: "TakenBack", remedy: str) -> None:
    """The jobs that people have handed in; ``remedy`` takes the run from them."""
    if taken.closed:
        jobs = f"{counted(len(taken.closed), 'job')} that people have handed in ({ranges(sorted(taken.closed))})"
        left_alone(f"{jobs}, with what the run wrote there: {remedy}")


def say_withdrawn(issues: "TakenBack") -> None:
    """How many issues of a run are gone, and how many are left to people."""
    if issues.gone:
        say(f"{counted(issues.gone, 'issue')} withdrawn")
    if issues.left:
        left_alone(f"{counted(issues.left, 'issue')} of it that people have resolved, taken or answered")


def say_may_arrive(command: str, run: int) -> None:
    """That CVAT may store more of a run that was taken back, and what takes it away."""
    say(
        f"CVAT gave no answer to one of its writes and may store it yet: the next {command} on this task takes that "
        f"away, --undo {run} among them"
    )


def _newest_first(client: Any, frames: "Frames", command: str) -> "list[Run]":
    from promptable.cvat.journal import JournalReader, path_of

    path = path_of(client, frames.task)
    if not path.exists():
        return []
    with closing(JournalReader(path)) as journal:
        return [run for run in reversed(journal.runs()) if run.command == command]
