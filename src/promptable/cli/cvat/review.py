"""``promptable review``: the frames that people should look at first, of any task at any time."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptable.cli.cvat.files import write_text
from promptable.cli.cvat.options import add_server_arguments, connected
from promptable.cli.cvat.outcome import told
from promptable.cli.cvat.source import add_source_arguments, named, source_name, sources
from promptable.cli.cvat.undo import METAVAR, runs_meant, say_closed, say_withdrawn, which_run
from promptable.cli.terminal import DONE, left_alone, say, show
from promptable.cli.values import count, unit_number
from promptable.cvat.plural import counted
from promptable.cvat.server.errors import OptionError

if TYPE_CHECKING:
    from promptable.cvat.review.queue import Queue
    from promptable.cvat.review.task import TaskReview
    from promptable.cvat.server.frames import Frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source_arguments(parser)
    add = parser.add_argument
    add("--budget", type=count, default=50, metavar="N", help="so many frames at most (default: 50)")
    add("--review-below", type=unit_number, default=0.45, metavar="C", help="where doubt begins (default: 0.45)")
    add("--include", choices=("completed",), help="also jobs that people have completed")
    add("--issues", action="store_true", help="open an issue in CVAT on each frame; again, and nothing is doubled")
    add("--assign", metavar="USER", help="put the jobs of these frames on a user's page in CVAT, to be reviewed")
    add(
        "--undo",
        type=which_run,
        metavar=METAVAR,
        help="take back the issues and jobs of this run of the task, or of the last one (of each task of a project), "
        "that nobody has worked on; no more",
    )
    add("--page", type=Path, metavar="FILE", help="where the page goes (default: review-task-N.html)")
    add_server_arguments(parser)
    kept = "the same command does the rest"
    parser.set_defaults(run=lambda parsed: told("review", lambda: _review(parsed), kept))


def _review(parsed: argparse.Namespace) -> int:
    writes = parsed.issues or parsed.assign is not None or parsed.undo is not None
    with connected(parsed, writes=writes) as client:
        if parsed.undo is not None:
            _undo(parsed, client)
        else:
            _look(parsed, client)
    return DONE


def _undo(parsed: argparse.Namespace, client: Any) -> None:
    from promptable.cvat.review.reviewer import COMMAND, take_back

    if parsed.issues or parsed.assign is not None:
        raise OptionError("--undo takes a run back and does no more: leave out --issues and --assign")
    for frames, run in runs_meant(parsed, client, COMMAND):
        issues, back, left = take_back(client, frames, run, completed=parsed.include is not None)
        say(f"run {run} is taken back")
        say_withdrawn(issues)
        say_closed(issues, f"--undo {run} --include completed takes that back too")
        if back:
            say(f"{counted(back, 'job')} given back")
        if left:
            left_alone(f"{counted(left, 'job')} that people have moved on since")


def _look(parsed: argparse.Namespace, client: Any) -> None:
    from promptable.cvat.review.assign import user_id
    from promptable.cvat.review.task import review_task

    tasks: dict[int, Frames] = {}
    reviews: dict[int, TaskReview] = {}
    about: list[str] = []
    for frames in sources(parsed, client, about.append):
        number, below = int(frames.task.id), parsed.review_below
        tasks[number] = frames
        reviews[number] = review_task(client, frames, parsed.budget, below, completed=parsed.include is not None)
    user = None if parsed.assign is None else user_id(client, parsed.assign)
    queue = _together(list(reviews.values()), parsed.budget)
    about += [f"task {task}: {note}" for task, review in reviews.items() for note in review.notes]
    title = f"Review of {named(parsed, client, (frames.task for frames in tasks.values()))}"
    _report(parsed, client.api_map.host, title, reviews, queue, about)
    if parsed.issues or user is not None:
        _hand_over(parsed, client, tasks, queue, user)


def _together(reviews: "Sequence[TaskReview]", budget: int) -> "Queue":
    """The queues of several tasks as one."""
    from promptable.cvat.review.queue import Queue, choose

    frames = choose([one for review in reviews for one in review.queue.frames], budget).frames
    counts = {name: sum(getattr(review.queue, name) for review in reviews) for name in ("doubtful", "near", "settled")}
    return Queue(frames, **counts)


def _report(
    parsed: argparse.Namespace,
    host: str,
    title: str,
    reviews: "dict[int, TaskReview]",
    queue: "Queue",
    about: Sequence[str],
) -> None:
    """As a table and as a page."""
    from promptable.cvat.review.found import together
    from promptable.cvat.review.page import link, more, render

    for sentence in about:
        say(sentence)
    rows = [[one.doubts[0].label, one.doubts[0].what, len(one.doubts), link(host, one)] for one in queue.frames]
    show(("label", "least sure", "doubts", "frame"), rows)
    page = parsed.page or Path("review-{}-{}.html".format(*source_name(parsed)))
    labels = together([review.labels for review in reviews.values()], parsed.review_below)
    html = render(title, about, queue, labels, parsed.review_below, host)
    write_text(page, html)
    left = more(queue)
    say(f"{counted(len(queue.frames), 'frame')} to look at{f'; {left}' if left else ''}\n{page}")


def _hand_over(
    parsed: argparse.Namespace, client: Any, tasks: "dict[int, Frames]", queue: "Queue", user: int | None
) -> None:
    """What a reviewer is to have in CVAT, task by task."""
    from promptable.cvat.review.reviewer import hand_over

    handed = [
        hand_over(client, frames, [one for one in queue.frames if one.task == task], issues=parsed.issues, user=user)
        for task, frames in tasks.items()
    ]
    for sentence in (sentence for one in handed for sentence in one.left):
        left_alone(sentence)
    issues, jobs = (sum(getattr(one, name) for one in handed) for name in ("issues", "jobs"))
    if parsed.issues:
        say(f"{counted(issues, 'issue')} opened")
    if user is not None:
        say(f"{counted(jobs, 'job')} for {parsed.assign} to review")
    if issues or jobs:
        say("--undo last takes that back, as far as nobody has worked on it")
