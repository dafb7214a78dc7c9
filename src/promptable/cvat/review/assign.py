"""Jobs given to a reviewer, and given back."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import text_of
from promptable.cvat.server.http.json_api import list_json, send_json

_REVIEW = {"stage": "validation", "state": "in progress"}
"""A job of this stage opens in CVAT's review workspace."""
Hands = Mapping[str, Any]
"""In whose hands a job is, as CVAT takes it: ``assignee``, a user's id or None, ``stage`` and ``state``."""


def user_id(client: Any, name: str) -> int:
    """CVAT's id of a user by the login. Raises CvatError where this account sees none of that name."""
    users = list_json(client.api_client.users_api.list_endpoint, search=name)
    found = [user["id"] for user in users if user["username"] == name]
    if not found:
        near = ", ".join(sorted(str(user["username"]) for user in users)) or "none like it"
        raise CvatError(f"CVAT has no user {name!r} whom this account may see; there is {near}")
    return int(found[0])


def to_give(jobs: Iterable[Any], user: int) -> tuple[dict[int, Hands], list[str]]:
    """The jobs (cvat-sdk's) that a user is to review, by id as they are now, and why others are left alone.

    Those that somebody else is at work on are left alone, and those that the user reviews already.
    """
    given, left = {}, []
    for job in jobs:
        now, owner = _hands(job), job.assignee
        if owner is not None and owner.id == user and now["stage"] == _REVIEW["stage"]:
            continue
        if owner is not None and owner.id != user and now["state"] == "in progress":
            left.append(f"job {job.id}, which {owner.username} is at work on")
            continue
        given[job.id] = now
    return given, left


def give(client: Any, jobs: Iterable[int], user: int) -> None:
    """Put jobs on a user's page, to be reviewed. ``client`` is cvat-sdk's. Raises CvatError."""
    for job in jobs:
        send_json(client, "PATCH", f"/api/jobs/{job}", {"assignee": user, **_REVIEW})


def give_back(client: Any, given: Mapping[int, Hands], user: int) -> tuple[int, int]:
    """Put jobs that were given to a user into the hands in which they were, but for those that were moved on since.

    Returns how many are given back, and how many are left. ``client`` is cvat-sdk's. Raises CvatError.
    """
    now = {job: hands for job in given if (hands := _hands_now(client, job)) is not None}
    back = [job for job, hands in now.items() if hands == {"assignee": user, **_REVIEW}]
    for job in back:
        send_json(client, "PATCH", f"/api/jobs/{job}", given[job])
    return len(back), sum(now[job] != given[job] for job in now if job not in back)


def _hands(job: Any) -> Hands:
    owner = job.assignee
    return {
        "assignee": None if owner is None else owner.id,
        "stage": text_of(job.stage),
        "state": text_of(job.state),
    }


def _hands_now(client: Any, job: int) -> Hands | None:
    """None where the job is gone."""
    try:
        return _hands(client.jobs.retrieve(job))
    except CvatError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None
