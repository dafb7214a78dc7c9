"""cvat-sdk's HTTP layer with a time limit, repeats of requests where a repeat is safe, and errors as sentences."""

import io
import json
import re
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from cvat_sdk.api_client.exceptions import ApiException
from cvat_sdk.api_client.rest import RESTClientObject
from urllib3 import HTTPResponse
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import Retry

from promptable.cvat.server.errors import CvatError, WebPageError, reason_of
from promptable.cvat.server.http.body import read_body

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each further try."""

_TIMEOUT = (10.0, 150.0)
"""Seconds to wait for a connection, and for an answer. (CVAT itself waits up to 120 s for a function.)"""
_LONGEST_PAUSE = 60.0
"""Seconds: the longest pause that a server may ask for."""
_TOLD_FROM_S = 2.0
"""Shorter pauses are not reported."""
_REDIRECTS = (301, 302, 303, 307, 308)
_TEMPORARY = (429, 502, 503, 504)
_REPEATABLE = ("GET", "HEAD", "OPTIONS", "PUT")
_FUNCTION_CALL = re.compile(r"/api/lambda/functions/[^/]+$")
_RESOURCE = re.compile(r"/api/(task|job|project|issue)s/(\d+)")
_ORGANIZATION = re.compile(r"(.*) organization does not exist\.")
_DEFAULT_REFUSAL = "You do not have permission to perform this action."
_SHOWN = 300
"""Characters of an error's body."""


class Rest(RESTClientObject):  # type: ignore[misc]  # cvat-sdk's is generated, without types
    """cvat-sdk's HTTP client, whose every error is a CvatError.

    ``pauses`` are the seconds to wait before each repeat of a request. Only these requests are repeated: those that
    read or PUT, those that call a function, and those that never reached the server or were one too many for it.
    """

    def __init__(self, configuration: Any, pauses: Sequence[float] = ()) -> None:
        configuration.retries = Retry(0, raise_on_redirect=False)  # no login and no annotation goes elsewhere
        super().__init__(configuration)
        self.pauses = pauses
        self._telling = Lock()
        self._told_until = 0.0

    def request(self, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        """Send a request as cvat-sdk does, and repeat it where that is safe. Returns the response with its body.

        Raises CvatError for an error status, for a web page (CVAT's API never sends one), and for no answer.
        """
        options["_request_timeout"] = options.get("_request_timeout") or _TIMEOUT
        pauses = iter(self.pauses)
        while True:
            try:
                return self._answer(method, url, *arguments, **options)
            except (ApiException, HTTPError) as error:
                pause = next(pauses, None)
                if pause is None or not _worth_repeating(error, method, url):
                    raise refusal(error, url) from None
                self._wait(url, max(pause, _asked_pause(error)))

    def _wait(self, url: str, pause: float) -> None:
        self._tell(url, pause)
        time.sleep(pause)

    def _tell(self, url: str, pause: float) -> None:
        """Report a pause on stderr; if several threads pause together, one of them does."""
        with self._telling:
            if pause < _TOLD_FROM_S or time.monotonic() < self._told_until:
                return
            self._told_until = time.monotonic() + pause
        sys.stderr.write(f"{urlsplit(url).netloc} did not answer: trying again in {pause:g} s\n")

    def _answer(self, method: str, url: str, *arguments: Any, _check_status: bool = True, **options: Any) -> Any:
        """The response with its body, whose size is bounded; cvat-sdk would read a body of any size."""
        options["_parse_response"] = False
        response = super().request(method, url, *arguments, **options, _check_status=False)
        body = io.BytesIO(read_body(response, _asked(url)))
        answer = HTTPResponse(body, response.headers, response.status, reason=response.reason, decode_content=False)
        if _check_status and not 200 <= answer.status <= 299:
            raise ApiException(http_resp=answer)
        return _no_page(answer, url)


def _asked(url: str) -> str:
    """The URL without its query, for an error message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _no_page(response: Any, url: str) -> Any:
    """The response. Raises WebPageError if it is a web page, such as a proxy's sign-in page."""
    if not response.headers.get("Content-Type", "").lower().startswith("text/html"):
        return response
    parts = urlsplit(url)
    raise WebPageError(
        f"{parts.scheme}://{parts.netloc} answered a web page to {parts.path}, as CVAT does not: a proxy or a sign-in "
        "page stands before it? Check that the address is CVAT's own, and that what is before it lets /api through"
    )


def _worth_repeating(error: Exception, method: str, url: str) -> bool:
    """Whether a repeat of the request may help and is safe."""
    if isinstance(error, ApiException) and error.status not in _TEMPORARY:
        return False
    repeatable = method in _REPEATABLE or (method == "POST" and _FUNCTION_CALL.search(urlsplit(url).path))
    return bool(repeatable or _never_begun(error))


def _never_begun(error: Exception) -> bool:
    """Whether the server cannot have done anything of what was asked."""
    if isinstance(error, ApiException):
        return bool(error.status == HTTPStatus.TOO_MANY_REQUESTS)
    reason = error.reason if isinstance(error, MaxRetryError) else error
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _asked_pause(error: Exception) -> float:
    """The seconds of the header ``Retry-After``, at most ``_LONGEST_PAUSE``; 0 without the header."""
    asked = str((getattr(error, "headers", None) or {}).get("Retry-After", ""))
    return min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() else 0.0


def refusal(error: Exception, url: str) -> CvatError:
    """The CvatError for an error of cvat-sdk or urllib3 in a request to ``url``."""
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.netloc}"
    if isinstance(error, ApiException) and error.status:
        said = _sent_on if error.status in _REDIRECTS else _answered
        return CvatError(said(error, server, parts.path), error.status)
    return CvatError(_unreachable(error, server))


def _sent_on(error: Any, server: str, _path: str) -> str:
    """The sentence for a redirect, which is never followed."""
    where = urlsplit((error.headers or {}).get("Location", ""))
    return f"{server} sends on to {where.scheme}://{where.netloc}: give that address, if you trust it"


def _answered(error: Any, server: str, path: str) -> str:
    """The sentence for an error status."""
    said = _said(error.body)
    status = int(error.status)
    match status:
        case 400 if path.endswith("/auth/login"):
            return f"{server} refuses the login: user or password is wrong"
        case 401:
            return f"{server} does not accept the login: the token or password is wrong or has expired"
        case 403:
            why = "" if said in ("", _DEFAULT_REFUSAL) else f" ({said})"
            return f"{server} forbids {_thing(path)} to this account{why}: its owner can allow it"
        case 404:
            return f"{server} has no {_missing(path, said)}, or this account may not see it"
        case 409:
            return f"{server} is already at it: {said or 'wait until it is done'}"
        case 429:
            return f"{server} takes no more requests for now: try again later"
        case 502 | 503 | 504:
            said = f": {said}" if said else ""
            return f"{server} cannot answer now ({status}{said}): it is starting, or what is behind it is down"
    return f"{server} answered {status} to {path}: {said or error.reason}"


def _missing(path: str, said: str) -> str:
    """What does not exist: the organization of the request if CVAT says so, otherwise what was asked for."""
    organization = _ORGANIZATION.fullmatch(said)
    return f"organization {organization[1]!r} (--org takes its short name)" if organization else _thing(path)


def _thing(path: str) -> str:
    """A path of the API in words, such as "task 7"; the path itself if it is of nothing with a number."""
    found = _RESOURCE.search(path)
    return f"{found[1]} {found[2]}" if found else path


def _said(body: object) -> str:
    """CVAT's message in an error's body, on one line; empty for a web page.

    Django REST framework sends ``detail``, or a list of messages for each field.
    """
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        return " ".join(_messages(json.loads(text)))[:_SHOWN]
    except (ValueError, RecursionError):
        return "" if "<html" in text.lower() else " ".join(text.split())[:_SHOWN]


def _messages(said: object) -> list[str]:
    match said:
        case {"detail": detail}:
            return [str(detail)]
        case dict():
            return [f"{key}: {' '.join(_messages(value))}" for key, value in said.items()]
        case list():
            return [message for item in said for message in _messages(item)]
    return [str(said)]


def _unreachable(error: Any, server: str) -> str:
    reason: Any = error.reason if isinstance(error, MaxRetryError | ApiException) else error
    if "SSL" in f"{type(reason).__name__} {reason}":
        plain = server.replace("https://", "http://")
        return f"{server} does not speak TLS as it should: write {plain} if it has none, or check its certificate"
    if isinstance(reason, NewConnectionError):
        return f"{server} cannot be reached ({reason_of(reason)}): is that its address (--url), and is it up?"
    if "timed out" in str(reason):
        return f"{server} does not answer in time"
    return f"{server} broke the connection: {reason_of(reason)}"
