"""Issues in CVAT: marked places on frames, through which a reviewer can step in the editor."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from cvat_sdk.core.helpers import get_paginated_collection, make_request_headers

from promptable.cvat.server.body import read_json
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.rest import get_json


@dataclass(frozen=True)
class Issue:
    """A message about a place on a frame of a job; ``box`` is x1, y1, x2, y2 in picture pixels."""

    job: int
    frame: int
    box: Sequence[float]
    message: str


def open_issues(client: Any, wanted: Sequence[Issue], opened: Callable[[int, Issue], object] | None = None) -> int:
    """Open each issue unless its frame already has an issue with the same message, open or resolved.

    ``opened`` is told CVAT's id of each. Returns how many were opened. Raises CvatError.
    """
    api = client.api_client
    url = client.api_map.make_endpoint_url("/api/issues")
    headers = make_request_headers(api) | {"Content-Type": "application/json"}
    frames: dict[int, set[int]] = {}
    for issue in wanted:
        frames.setdefault(issue.job, set()).add(issue.frame)
    there = {job: _issues(client, job, of_job) for job, of_job in frames.items()}
    new = [issue for issue in wanted if (issue.frame, issue.message) not in there[issue.job]]
    for issue in new:
        body = {"job": issue.job, "frame": issue.frame, "position": list(issue.box), "message": issue.message}
        answer = read_json(api.rest_client.POST(url, headers=headers, body=body), url)
        if opened is not None:
            opened(int(answer["id"]), issue)
    return len(new)


def withdraw(client: Any, opened: Iterable[tuple[int, str]]) -> tuple[int, int]:
    """Delete issues, given by CVAT's id and message, as far as nobody has resolved, taken or answered them.

    Returns how many are gone, and how many people have worked on or this account may not delete. Raises CvatError.
    """
    api, gone, left = client.api_client, 0, 0
    for number, message in opened:
        path = f"/api/issues/{number}"
        try:
            issue = get_json(client, path)
            if issue["resolved"] or issue["assignee"] or _words(client, number) != [message]:
                left += 1
                continue
            api.rest_client.DELETE(client.api_map.make_endpoint_url(path), headers=make_request_headers(api))
            gone += 1
        except CvatError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
                raise
            left += error.status == HTTPStatus.FORBIDDEN
    return gone, left


def _issues(client: Any, job: int, frames: Set[int]) -> set[tuple[int, str]]:
    """Frame and first comment of a job's issues on these frames, resolved ones too; one request for each issue."""
    issues = get_paginated_collection(
        client.api_client.issues_api.list_endpoint, return_json=True, _parse_response=False, job_id=job
    )
    return {
        (issue["frame"], words[0])
        for issue in issues
        if issue["frame"] in frames and (words := _words(client, issue["id"]))
    }


def _words(client: Any, issue: int) -> list[str]:
    """What was said in an issue, the first comment first."""
    comments = get_paginated_collection(
        client.api_client.comments_api.list_endpoint, return_json=True, _parse_response=False, issue_id=issue
    )
    return [str(comment["message"]) for comment in sorted(comments, key=lambda comment: int(comment["id"]))]
