"""cvat-sdk's HTTP layer with a time limit, repeats of requests where a repeat is safe, and errors as sentences."""

import io
import json
import re
import sys
import time
from collections.abc import Sequence
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from cvat_sdk.api_client.exceptions import ApiException
from cvat_sdk.api_client.rest import RESTClientObject
from urllib3 import HTTPResponse
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import Retry

from promptable.cvat.server.body import read_body
from promptable.cvat.server.errors import CvatError, WebPageError, reason_of

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each further try."""

_TIMEOUT = (10.0, 150.0)
"""Seconds to wait for a connection, and for an answer. (CVAT itself waits up to 120 s for a function.)"""
_LONGEST_PAUSE = 60.0
_TOLD_FROM_S = 2.0
"""Shorter pauses nobody notices."""
_ELSEWHERE = (301, 302, 303, 307, 308)
_PASSING = (429, 502, 503, 504)
_REPEATABLE = ("GET", "HEAD", "OPTIONS", "PUT")
_CALL = re.compile(r"/api/lambda/functions/[^/]+$")
_THING = re.compile(r"/api/(task|job|project|issue)s/(\d+)")
_ORGANIZATION = re.compile(r"(.*) organization does not exist\.")
_STOCK = "You do not have permission to perform this action."
_SHOWN = 300


class Rest(RESTClientObject):  # type: ignore[misc]  # cvat-sdk's is generated, without types
    """Raises CvatError for every error status, for a web page, and for a server that does not answer.

    ``pauses`` are the seconds to wait before each repeat of a request. Only these requests are repeated: those that
    read or PUT, those that call a function, and those that never reached the server.
    """

    def __init__(self, configuration: Any, pauses: Sequence[float] = ()) -> None:
        configuration.retries = Retry(0, raise_on_redirect=False)  # no login and no annotation goes elsewhere
        super().__init__(configuration)
        self.pauses = pauses
        self._telling = Lock()
        self._told_until = 0.0

    def request(self, method: str, url: str, *arguments: Any, **options: Any) -> Any:
        """Send a request as cvat-sdk does. Raises CvatError in place of cvat-sdk's errors, and for a web page, which
        CVAT's API never sends."""
        options["_request_timeout"] = options.get("_request_timeout") or _TIMEOUT
        for pause in self.pauses:
            try:
                return self._answer(method, url, *arguments, **options)
            except (ApiException, HTTPError) as error:
                if not _worth_repeating(error, method, url):
                    raise refusal(error, url) from None
                pause = max(pause, _asked_pause(error))
                self._tell(url, pause)
                time.sleep(pause)
        try:
            return self._answer(method, url, *arguments, **options)
        except (ApiException, HTTPError) as error:
            raise refusal(error, url) from None

    def _tell(self, url: str, pause: float) -> None:
        """Say that there is a pause; of several threads that pause together one does."""
        with self._telling:
            if pause < _TOLD_FROM_S or time.monotonic() < self._told_until:
                return
            self._told_until = time.monotonic() + pause
        sys.stderr.write(f"{urlsplit(url).netloc} did not answer: trying again in {pause:g} s\n")

    def _answer(self, method: str, url: str, *arguments: Any, _check_status: bool = True, **options: Any) -> Any:
        """The answer with its body, which cvat-sdk would read without a bound."""
        options["_parse_response"] = False
        response = super().request(method, url, *arguments, **options, _check_status=False)
        body = io.BytesIO(read_body(response, _asked(url)))
        answer = HTTPResponse(body, response.headers, response.status, reason=response.reason, decode_content=False)
        if _check_status and not 200 <= answer.status <= 299:
            raise ApiException(http_resp=answer)
        return _no_page(answer, url)


def _asked(url: str) -> str:
    """What was asked, without the query."""
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
    if isinstance(error, ApiException) and error.status not in _PASSING:
        return False
    repeatable = method in _REPEATABLE or (method == "POST" and _CALL.search(urlsplit(url).path))
    return bool(repeatable or _never_arrived(error))


def _never_arrived(error: Exception) -> bool:
    reason = error.reason if isinstance(error, MaxRetryError) else error
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _asked_pause(error: Exception) -> float:
    """The seconds of the header ``Retry-After``, at most ``_LONGEST_PAUSE``; 0 without the header."""
    asked = str((getattr(error, "headers", None) or {}).get("Retry-After", ""))
    return min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() else 0.0


def refusal(error: Exception, url: str) -> CvatError:
    """The CvatError, with a sentence, for an error of cvat-sdk or urllib3 in a request for ``url``."""
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.netloc}"
    if isinstance(error, ApiException) and error.status:
        said = _sent_on if error.status in _ELSEWHERE else _answered
        return CvatError(said(error, server, parts.path), error.status)
    return CvatError(_unreachable(error, server))


def _sent_on(error: Any, server: str, _path: str) -> str:
    """A sentence for a redirect, which is never followed."""
    where = urlsplit((error.headers or {}).get("Location", ""))
    return f"{server} sends on to {where.scheme}://{where.netloc}: give that address, if you trust it"


def _answered(error: Any, server: str, path: str) -> str:
    """A sentence for an error status."""
    said = _said(error.body)
    status = int(error.status)
    match status:
        case 400 if path.endswith("/auth/login"):
            return f"{server} refuses the login: user or password is wrong"
        case 401:
            return f"{server} does not accept the login: the token or password is wrong or has expired"
        case 403:
            why = "" if said in ("", _STOCK) else f" ({said})"
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
    """What is not there: what was asked for, or the organization from within which."""
    organization = _ORGANIZATION.fullmatch(said)
    return f"organization {organization[1]!r} (--org takes its short name)" if organization else _thing(path)


def _thing(path: str) -> str:
    found = _THING.search(path)
    return f"{found[1]} {found[2]}" if found else path


def _said(body: object) -> str:
    """What CVAT says in a body, in a line: Django REST framework's ``detail``, or its lists of messages by field."""
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
