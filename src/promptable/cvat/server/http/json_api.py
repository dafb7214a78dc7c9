"""CVAT's API as plain JSON: cvat-sdk's models differ between versions, and need seconds to read many shapes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cvat_sdk.core.helpers import get_paginated_collection, make_request_headers

from promptable.cvat.server.http.body import read_json


def get_json(client: Any, path: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """GET a path of CVAT's API; ``client`` is cvat-sdk's, ``object_hook`` that of ``json.loads``. Raises CvatError."""
    api, url = client.api_client, client.api_map.make_endpoint_url(path)
    return read_json(api.rest_client.GET(url, headers=make_request_headers(api)), url, object_hook)


def send_json(
    client: Any, method: str, path: str, body: Mapping[str, Any], query: Sequence[tuple[str, str]] = ()
) -> Any:
    """PATCH or POST (``method``) a body; returns CVAT's answer. ``client`` is cvat-sdk's. Raises CvatError."""
    api, url = client.api_client, client.api_map.make_endpoint_url(path)
    headers = make_request_headers(api) | {"Content-Type": "application/json"}
    response = api.rest_client.request(method, url, headers=headers, query_params=query, body=dict(body))
    return read_json(response, url)


def list_json(endpoint: Any, **filters: Any) -> list[Mapping[str, Any]]:
    """The items of all pages of a list; ``endpoint`` is a list endpoint of cvat-sdk. Raises CvatError."""
    return list(get_paginated_collection(endpoint, return_json=True, _parse_response=False, **filters))
