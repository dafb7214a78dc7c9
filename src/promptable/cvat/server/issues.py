"""CVAT's issues: comments at places on frames, through which a reviewer can step in the editor."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from cvat_sdk.core.helpers import make_request_headers

from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.http.json_api import get_json, list_json, send_json

_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Issue:
    """A message about a place on a frame of a job; ``box`` is x1, y1, x2, y2 in picture pixels."""

    job: int
    frame: int
    box: Sequence[float]
    message: str


def not_there(client: Any, wanted: Sequence[Issue]) -> list[Issue]:
    """The ``wanted`` issues that CVAT does not have yet, neither open nor resolved. Raises CvatError.

    Two issues are the same if they lie on the same frame, in the same box to the pixel, and their messages differ in
    numbers only.
    """
    frames: dict[int, set[int]] = {}
    for issue in wanted:
        frames.setdefault(issue.job, set()).add(issue.frame)
    there = {
        (job, _about(issue["frame"], issue["position"], message))
        for job, of_job in frames.items()
        for issue, message in _opened(client, job, of_job)
    }
    return [issue for issue in wanted if (issue.job, _about(issue.frame, issue.box, issue.message)) not in there]


def issues_on(client: Any, job: int, frames: Set[int]) -> Mapping[tuple[int, str], int]:
    """CVAT's ids of the issues on a job's frames, also resolved ones, by frame and first comment. Raises CvatError."""
    return {(issue["frame"], message): int(issue["id"]) for issue, message in _opened(client, job, frames)}


def open_issue(client: Any, issue: Issue) -> int:
    """Open an issue in CVAT. Returns its id. Raises CvatError."""
    body = {"job": issue.job, "frame": issue.frame, "position": list(issue.box), "message": issue.message}
    return int(send_json(client, "POST", "/api/issues", body)["id"])


def withdraw(client: Any, opened: Iterable[tuple[int, str]]) -> tuple[int, int]:
    """Delete issues, given by CVAT's id and message, unless people have resolved, assigned or answered them.

    Returns how many were deleted and how many were left: people worked on them, or this account may not delete them.
    Issues that no longer exist count as neither. Raises CvatError.
    """
    api, gone, left = client.api_client, 0, 0
    for number, message in opened:
        path = f"/api/issues/{number}"
        try:
            issue = get_json(client, path)
            if issue["resolved"] or issue["assignee"] or _comments(client, number) != [message]:
                left += 1
                continue
            api.rest_client.DELETE(client.api_map.make_endpoint_url(path), headers=make_request_headers(api))
            gone += 1
        except CvatError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
                raise
            left += error.status == HTTPStatus.FORBIDDEN
    return gone, left


def _opened(client: Any, job: int, frames: Set[int]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The issues on a job's frames as CVAT gives them, each with its first comment."""
    for issue in list_json(client.api_client.issues_api.list_endpoint, job_id=job):
        if issue["frame"] in frames and (comments := _comments(client, issue["id"])):  # one request each
            yield issue, comments[0]


def _about(frame: int, box: Sequence[float], message: str) -> tuple[int, tuple[int, ...], str]:
    """The frame, box and message of an issue without the message's numbers, which differ from run to run."""
    label, _, what = message.partition(": ")
    return frame, tuple(map(round, box)), f"{label}: {_NUMBER.sub('', what)}"


def _comments(client: Any, issue: int) -> list[str]:
    """The texts of an issue's comments, oldest first."""
    comments = list_json(client.api_client.comments_api.list_endpoint, issue_id=issue)
    return [str(comment["message"]) for comment in sorted(comments, key=lambda comment: int(comment["id"]))]
