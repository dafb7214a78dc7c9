"""Places that are worth a look, as issues in CVAT."""

from collections.abc import Sequence
from typing import Any

from cvat_sdk.core.helpers import get_paginated_collection, make_request_headers

from promptable.cvat.propagate.review.places import Place


def open_issues(client: Any, found: Sequence[Place]) -> int:
    """Open an issue on each place that has none of the same words yet; returns how many. Raises CvatError."""
    api = client.api_client
    url = client.api_map.make_endpoint_url("/api/issues")
    opened = 0
    there = {job: _issues(client, job) for job in {place.job for place in found}}
    for place in found:
        message = f"{place.label}: {place.what}"
        if (place.frame, message) not in there[place.job]:
            body = {"job": place.job, "frame": place.frame, "position": list(place.box), "message": message}
            headers = make_request_headers(api) | {"Content-Type": "application/json"}
            api.rest_client.POST(url, headers=headers, body=body)
            opened += 1
    return opened


def _issues(client: Any, job: int) -> set[tuple[int, str]]:
    """Frame and first words of the issues of a job."""
    issues = get_paginated_collection(
        client.api_client.issues_api.list_endpoint, return_json=True, _parse_response=False, job_id=job
    )
    return {(issue["frame"], _first_words(client, issue["id"])) for issue in issues}


def _first_words(client: Any, issue: int) -> str:
    comments = get_paginated_collection(
        client.api_client.comments_api.list_endpoint, return_json=True, _parse_response=False, issue_id=issue
    )
    return min(((comment["id"], str(comment["message"])) for comment in comments), default=(0, ""))[1]
