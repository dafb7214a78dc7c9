"""What a reviewer is given in CVAT, issues and jobs, as a run of the journal that can be taken back."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from promptable.cvat.journal import Journal, path_of
from promptable.cvat.journal.opened_issues import open_issues, withdraw_issues
from promptable.cvat.review.assign import Hands, give, give_back, to_give
from promptable.cvat.review.queue import QueuedFrame
from promptable.cvat.server.frames import Frames
from promptable.cvat.server.issues import Issue, not_there
from promptable.cvat.server.jobs import TakenBack

COMMAND = "review"
"""What the journal calls its runs."""


@dataclass(frozen=True)
class Handed:
    """How many ``issues`` were opened and ``jobs`` given; ``left`` says in sentences which jobs are left alone."""

    issues: int = 0
    jobs: int = 0
    left: Sequence[str] = ()


def hand_over(client: Any, frames: Frames, queued: Sequence[QueuedFrame], *, issues: bool, user: int | None) -> Handed:
    """Open an issue on each of these frames of a task that has none like it, and give their jobs to a user.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    wanted = [_issue(one, frames.frame(one.frame).hw) for one in queued] if issues else []
    jobs = {one.job for one in queued}
    new = not_there(client, wanted)
    given: dict[int, Hands] = {}
    left: list[str] = []
    if user is not None:
        given, left = to_give((job for job in frames.jobs if job.id in jobs), user)
    if new or given:
        with closing(Journal(path_of(client, frames.task))) as journal:
            run = journal.begin(COMMAND, {"user": user, "given": given}, {}, ()).id
            open_issues(client, journal, run, new)
            if user is not None:
                give(client, given, user)
            journal.end(run, "finished")
    return Handed(len(new), len(given), left)


def take_back(client: Any, frames: Frames, run: int, *, completed: bool) -> tuple[TakenBack, int, int]:
    """Take a run back: its issues as ``withdraw_issues`` does, and its jobs.

    Returns what became of the issues, how many jobs are as they were before, and how many were moved on since.
    ``client`` is cvat-sdk's. Raises CvatError.
    """
    with closing(Journal(path_of(client, frames.task))) as journal:
        known = journal.run(run, COMMAND)
        issues = withdraw_issues(client, journal, run, completed=completed)
        given = {int(job): hands for job, hands in known.options["given"].items()}
        if known.state == "undone":
            given = {}  # another run may have given them since
        back, left = give_back(client, given, known.options["user"])
        journal.end(run, "undone")
    return issues, back, left


def _issue(one: QueuedFrame, hw: tuple[int, int]) -> Issue:
    doubt, (height, width) = one.doubts[0], hw
    box = (0, 0, width, height) if doubt.box is None else doubt.box
    return Issue(one.job, one.frame, box, f"{doubt.label}: {doubt.what}")
