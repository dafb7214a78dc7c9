"""Jobs given to a reviewer."""

from collections.abc import Iterable
from typing import Any

from cvat_sdk.core.helpers import get_paginated_collection, make_request_headers

from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import text_of

_REVIEW = {"stage": "validation", "state": "in progress"}
"""A job of this stage opens in CVAT's review workspace."""


def user_id(client: Any, name: str) -> int:
    """CVAT's id of a user by the login. Raises CvatError where this account sees none of that name."""
    users = get_paginated_collection(
        client.api_client.users_api.list_endpoint, return_json=True, _parse_response=False, search=name
    )
    found = [user["id"] for user in users if user["username"] == name]
    if not found:
        near = ", ".join(sorted(str(user["username"]) for user in users)) or "none like it"
        raise CvatError(f"CVAT has no user {name!r} whom this account may see; there is {near}")
    return int(found[0])


def give_for_review(client: Any, jobs: Iterable[Any], user: int) -> tuple[list[int], list[str]]:
    """Put jobs (cvat-sdk's) on a user's page, to be reviewed; which they are, and why others are left alone.

    Those that somebody else is at work on are left alone, and those that the user reviews already. Raises CvatError.
    """
    api, given, left = client.api_client, [], []
    for job in jobs:
        state, owner = text_of(job.state), job.assignee
        if owner is not None and owner.id == user and text_of(job.stage) == "validation":
            continue
        if owner is not None and owner.id != user and state == "in progress":
            left.append(f"job {job.id}, which {owner.username} is at work on")
            continue
        api.rest_client.PATCH(
            client.api_map.make_endpoint_url(f"/api/jobs/{job.id}"),
            headers=make_request_headers(api) | {"Content-Type": "application/json"},
            body={"assignee": user, **_REVIEW},
        )
        given.append(job.id)
    return given, left
