"""One way to a model: a deployed function asked directly, through CVAT, or the same code in this process."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import orjson
import urllib3
from cvat_sdk.core.helpers import make_request_headers
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from promptable.cvat.server.errors import CvatError, reason_of

THROUGH_CVAT = "(through CVAT)"
"""How the name of such a function ends where it is shown."""
_TIMEOUT = urllib3.Timeout(connect=10.0, read=150.0)
_RETRIES = Retry(
    5,
    redirect=0,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)
"""A function only answers: asking it again is harmless."""
_CHECK = "is the address right?"


@dataclass(frozen=True)
class Source:
    """The task, or the job of it, whose frames CVAT is asked about."""

    task: int
    job: int | None = None


@dataclass(frozen=True)
class Picture:
    """What a function is asked about: ``data`` gives the file's bytes; ``frame`` is its number in CVAT, if any."""

    name: str
    data: Callable[[], bytes]
    frame: int | None = None


class Function(Protocol):
    """A deployed function, wherever it runs."""

    takes_labels: bool
    """Whether a request may carry ``labels`` and ``floor``, our own extension, which CVAT does not pass on."""

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        """The answer, parsed, to a request of these ``fields`` and the picture. Raises CvatError.

        May be called by several threads at once; two to four keep a server busy.
        """
        ...


class DirectFunction:
    """A function at its own address, which in a deployment only CVAT's machine reaches."""

    takes_labels = True

    def __init__(self, url: str) -> None:
        self._url = url if "://" in url else f"http://{url}"
        self._http = urllib3.PoolManager(maxsize=8, retries=_RETRIES, timeout=_TIMEOUT)

    def __repr__(self) -> str:
        return self._url

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        body = orjson.dumps({**fields, "image": base64.b64encode(picture.data()).decode()})
        try:
            response = self._http.request("POST", self._url, body=body, headers={"Content-Type": "application/json"})
        except HTTPError as error:
            raise CvatError(
                f"{self._url} cannot be reached ({reason_of(error)}): is the function up? Functions listen for CVAT's "
                "machine only: from another one, ssh -L 32101:localhost:32101 HOST, then localhost:32101"
            ) from None
        return _answer(response.status, response.data, f"{self._url}, {picture.name}")


class CvatFunction:
    """A function that CVAT lists, called through CVAT about frames of a task or job."""

    takes_labels = False

    def __init__(self, client: Any, name: str, source: Source) -> None:
        """``client`` is cvat-sdk's. Raises CvatError where CVAT has no such function."""
        self._client = client
        self._url = client.api_map.make_endpoint_url("/api/lambda/functions")
        self._name = name
        self._where = {"task": source.task} if source.job is None else {"job": source.job}
        self.described = self._described()

    def __repr__(self) -> str:
        return f"{self._name} {THROUGH_CVAT}"

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        if picture.frame is None:
            raise CvatError(f"{picture.name} is no frame of a task: through CVAT only those can be asked about")
        response = self._client.api_client.rest_client.POST(
            f"{self._url}/{quote(self._name)}",
            headers=make_request_headers(self._client.api_client),
            body={**fields, **self._where, "frame": picture.frame},
        )
        return json.loads(response.data)

    def _described(self) -> Mapping[str, Any]:
        """What CVAT's list says of the function: ``id``, ``kind``, ``labels_v2``."""
        api = self._client.api_client
        try:
            response = api.rest_client.GET(self._url, headers=make_request_headers(api))
        except CvatError as error:
            if error.status is None or error.status < 500:
                raise
            raise CvatError(f"CVAT cannot list its functions ({error}): is Nuclio up?", error.status) from None
        functions = {str(function["id"]): function for function in json.loads(response.data)}
        if self._name not in functions:
            known = ", ".join(sorted(functions)) or "none: is Nuclio up?"
            raise CvatError(f"CVAT lists no function {self._name!r}; it has {known}")
        described: Mapping[str, Any] = functions[self._name]
        return described


def _answer(status: int, body: bytes, asked: str) -> Any:
    """The answer's JSON. Raises CvatError with the function's own sentence."""
    try:
        answer = json.loads(body)
    except ValueError:
        if status == 200:
            raise CvatError(f"{asked}: what answered is no function, but a web page or so: {_CHECK}") from None
        answer = {"error": body[:200].decode("utf-8", "replace")}
    if status == 200:
        return answer
    sentence = answer.get("error") if isinstance(answer, dict) else None
    if status in (404, 405):
        raise CvatError(f"{asked}: answered {status}, as no function does: {_CHECK}", status)
    raise CvatError(f"{asked}: the function answered {status}: {sentence or 'without a word'}", status)
