"""Issues in CVAT: marked places on frames, through which a reviewer can step in the editor."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from cvat_sdk.core.helpers import get_paginated_collection, make_request_headers


@dataclass(frozen=True)
class Issue:
    """A message about a place on a frame of a job; ``box`` is x1, y1, x2, y2 in picture pixels."""

    job: int
    frame: int
    box: Sequence[float]
    message: str


def open_issues(client: Any, wanted: Sequence[Issue]) -> int:
    """Open each issue unless its frame already has an issue with the same message, open or resolved.

    Returns how many were opened. Raises CvatError.
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
        api.rest_client.POST(url, headers=headers, body=body)
    return len(new)


def _issues(client: Any, job: int, frames: Set[int]) -> set[tuple[int, str]]:
    """Frame and first comment of a job's issues on these frames, resolved ones too; one request for each issue."""
    issues = get_paginated_collection(
        client.api_client.issues_api.list_endpoint, return_json=True, _parse_response=False, job_id=job
    )
    return {(issue["frame"], _first_words(client, issue["id"])) for issue in issues if issue["frame"] in frames}


def _first_words(client: Any, issue: int) -> str:
    comments = get_paginated_collection(
        client.api_client.comments_api.list_endpoint, return_json=True, _parse_response=False, issue_id=issue
    )
    return min(((comment["id"], str(comment["message"])) for comment in comments), default=(0, ""))[1]
