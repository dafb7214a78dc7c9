"""One way to a model: a deployed function asked directly, through CVAT, or the same code in this process."""

import base64
import io
import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import Any, Protocol
from urllib.parse import quote

import orjson
import urllib3
from cvat_sdk.core.helpers import make_request_headers
from PIL import Image
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import Retry

from promptable.cvat.escaping import for_a_journal, for_a_terminal
from promptable.cvat.server.errors import CvatError, reason_of
from promptable.cvat.server.http.body import read_body, read_json
from promptable.cvat.server.http.json_api import get_json

_FUNCTIONS = "/api/lambda/functions"
_UNKNOWN = "unknown"
"""CVAT's kind of a function that does not say."""
THROUGH_CVAT = "(through CVAT)"
"""How the name of such a function ends where it is shown."""
_TIMEOUT = (10.0, 150.0)
"""To connect, and for a function to answer; seconds."""
_TOLD_AFTER_S = 60.0
"""Who waits for so long is told what for."""


class _Retry(Retry):
    """Not after silence: the function is at work on the first request still, and a second one would wait behind it."""

    def increment(self, *arguments: Any, **named: Any) -> Any:
        """As urllib3 calls it, which names the ``error``."""
        if isinstance(error := named.get("error"), ReadTimeoutError):
            raise error
        return super().increment(*arguments, **named)


_RETRIES = _Retry(
    5,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)
"""A function only answers: asking it again is harmless."""
_JSON = {"Content-Type": "application/json"}
BLANK_HW = (64, 64)
_CHECK = "is the address right?"
_ASKED_FIRST = {"shapes": "tracker", "pos_points": "interactor"}
"""The field that each kind of function misses first, and names, in a request for another one."""


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


def blank(name: str) -> Picture:
    """A grey picture of ``BLANK_HW``, for what is asked of a function and not of a picture; ``name`` is for errors."""
    data = io.BytesIO()
    Image.new("RGB", BLANK_HW[::-1], (128, 128, 128)).save(data, "PNG")
    return Picture(name, data.getvalue)


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

    def __init__(self, url: str, kind: str = "detector") -> None:
        """``kind`` is what the function should be, as CVAT says: detector, interactor or tracker.

        Raises CvatError for a URL with a login.
        """
        self._kind = kind
        self._url = url if "://" in url else f"http://{url}"
        if "@" in self._url.partition("?")[0]:  # it would be told on pages, in journals and to this machine's users
            raise CvatError("the function's address holds a login, which functions do not know: leave it out")
        self._http = urllib3.PoolManager(
            maxsize=8, retries=_RETRIES, timeout=urllib3.Timeout(connect=_TIMEOUT[0], read=_TIMEOUT[1])
        )

    def __repr__(self) -> str:
        return for_a_journal(self._url)

    def reach(self) -> None:
        """Raise CvatError where nothing listens at its address: a call would try for a quarter of a minute."""
        try:
            address = urllib3.util.parse_url(self._url)
            port = address.port or (443 if address.scheme == "https" else 80)
            socket.create_connection(((address.host or "").strip("[]"), port), _TIMEOUT[0]).close()
        except (OSError, ValueError, HTTPError) as error:
            raise self._unreachable(error) from None

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        body = orjson.dumps({**fields, "image": base64.b64encode(picture.data()).decode()})
        asked = f"{self!r}, {picture.name}"
        try:
            with _told_of_waiting(asked):
                response = self._http.request(
                    "POST", self._url, body=body, headers=_JSON, redirect=False, preload_content=False
                )
                answer = read_body(response, asked, decode=False)
        except ReadTimeoutError:
            raise CvatError(
                f"{asked}: no answer in {_TIMEOUT[1]:g} s: the function hangs or has too much to do, its log says which"
            ) from None
        except HTTPError as error:
            raise self._unreachable(error) from None
        try:
            return _answer(response.status, answer, asked)
        except CvatError as error:
            self._check_kind(str(error))
            raise

    def _unreachable(self, error: Exception) -> CvatError:
        return CvatError(
            f"{self!r} cannot be reached ({reason_of(error)}): is the function up? Functions listen for CVAT's "
            "machine only: from another one, ssh -L 32101:localhost:32101 HOST, then localhost:32101"
        )

    def _check_kind(self, refused: str) -> None:
        """Raise CvatError where what is refused shows that the function is another one."""
        for field, kind in _ASKED_FIRST.items():
            if kind != self._kind and f" answered 400: {field}: " in refused:
                raise CvatError(f"{self!r} is of kind {kind}, not the {self._kind} that is wanted: {_CHECK}", 400)


class CvatFunction:
    """A function that CVAT lists, called through CVAT about frames of a task or job."""

    takes_labels = False

    def __init__(self, client: Any, name: str, source: Source, kind: str) -> None:
        """``client`` is cvat-sdk's. Raises CvatError where CVAT has no such function, or one of another kind."""
        self._client = client
        self._name = name
        self._where = {"task": source.task} if source.job is None else {"job": source.job}
        self.described = self._described(kind)

    def __repr__(self) -> str:
        return f"{self._name} {THROUGH_CVAT}"

    def call(self, picture: Picture, fields: Mapping[str, object]) -> Any:
        if picture.frame is None:
            raise CvatError(f"{picture.name} is no frame of a task: through CVAT only those can be asked about")
        response = self._client.api_client.rest_client.POST(
            self._client.api_map.make_endpoint_url(f"{_FUNCTIONS}/{quote(self._name)}"),
            headers=make_request_headers(self._client.api_client),
            body={**fields, **self._where, "frame": picture.frame},
        )
        return read_json(response, str(self))

    def _described(self, kind: str) -> Mapping[str, Any]:
        """What CVAT's list says of the function: ``id``, ``kind``, ``labels_v2``."""
        try:
            listed = get_json(self._client, _FUNCTIONS)
        except CvatError as error:
            if error.status is None or error.status < 500:
                raise
            raise CvatError(f"CVAT cannot list its functions ({error}): is Nuclio up?", error.status) from None
        functions = {str(function["id"]): function for function in listed}
        if self._name not in functions:
            known = ", ".join(sorted(functions)) or "none: is Nuclio up?"
            raise CvatError(f"CVAT lists no function {self._name!r}; it has {known}")
        described: Mapping[str, Any] = functions[self._name]
        if described["kind"] not in (kind, _UNKNOWN):
            there = ", ".join(sorted(name for name, one in functions.items() if one["kind"] == kind)) or "none"
            raise CvatError(
                f"{self._name} is of kind {described['kind']}, not the {kind} that is wanted: of these CVAT lists "
                f"{there}"
            )
        return described


@contextmanager
def _told_of_waiting(asked: str) -> Iterator[None]:
    """Say on standard error what is waited for, if it takes long."""
    sentence = for_a_terminal(f"{asked}: no answer for {_TOLD_AFTER_S:g} s, waiting up to {_TIMEOUT[1]:g} s\n")
    timer = Timer(_TOLD_AFTER_S, lambda: sys.stderr.write(sentence))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _answer(status: int, body: bytes, asked: str) -> Any:
    """The answer's JSON. Raises CvatError with the function's own sentence."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        if status == 200:
            raise CvatError(f"{asked}: what answered is no function, but a web page or so: {_CHECK}") from None
        answer = {"error": body[:200].decode("utf-8", "replace")}
    if status == 200:
        return answer
    sentence = answer.get("error") if isinstance(answer, dict) else None
    if 300 <= status < 400 or status in (404, 405):
        raise CvatError(f"{asked}: answered {status}, as no function does: {_CHECK}", status)
    raise CvatError(f"{asked}: the function answered {status}: {sentence or 'without a word'}", status)
