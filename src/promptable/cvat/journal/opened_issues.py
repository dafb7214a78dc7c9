"""Opening a run's issues in CVAT, each after it is in the journal, and deleting them when the run is taken back."""

from collections.abc import Sequence
from typing import Any

from promptable.cvat.journal import Journal, OpenedIssue
from promptable.cvat.server.issues import Issue, issues_on, open_issue, withdraw
from promptable.cvat.server.jobs import TakenBack, open_and_handed_in


def open_issues(client: Any, journal: Journal, run: int, wanted: Sequence[Issue]) -> None:
    """Open issues in CVAT for a run. ``client`` is cvat-sdk's. Raises CvatError."""
    for issue in wanted:
        number = journal.about_to_open(run, issue.job, issue.frame, issue.message)
        journal.opened(number, open_issue(client, issue))


def withdraw_issues(client: Any, journal: Journal, run: int, *, completed: bool) -> TakenBack:
    """Delete the issues of a run unless people have resolved, assigned or answered them.

    In jobs that were handed in only if ``completed``. ``client`` is cvat-sdk's. Raises CvatError.
    """
    opened = journal.opened_issues(run)
    jobs, closed = open_and_handed_in(client, dict.fromkeys(one.job for one in opened), completed=completed)
    numbers = [(_number(client, one), one.message) for one in opened if one.job in jobs]
    gone, left = withdraw(client, [(number, message) for number, message in numbers if number is not None])
    return TakenBack(gone, left, closed)


def _number(client: Any, one: OpenedIssue) -> int | None:
    """CVAT's id of an issue; None if it was never opened. If the run was stopped before it knew, CVAT is asked."""
    if one.server_id is not None:
        return one.server_id
    return issues_on(client, one.job, {one.frame}).get((one.frame, one.message))
