"""The one way from a Nuclio event to a Nuclio response, and the one place that catches every error."""

import logging
import os
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import orjson

from promptable.errors import BadRequestError, GoneError, NotReadyError, OutOfMemoryError

_log = logging.getLogger(__name__)

Answer = Callable[[object], str]
"""A loaded function: from the request body (a dict, or bytes if it was not JSON) to the answer as JSON text."""

_JSON = "application/json"
STATUS: Mapping[type[Exception], int] = {
    BadRequestError: 400,
    GoneError: 410,  # CVAT shows the status and drops the sentence: "Gone" says more than "Bad Request"
    NotReadyError: 503,
    OutOfMemoryError: 507,  # not 503: whoever tries again later should do so with less
}
"""The HTTP status of each error whose message says what is wrong."""


def respond(context: Any, event: Any) -> Any:
    """Answer one event with ``context.user_data.answer``.

    The status is 200, or for an error one of ``STATUS`` or 500, with a body ``{"error": sentence}``. ``context`` and
    ``event`` are nuclio-sdk's. The body of the response is always a str: Nuclio would encode bytes as base64 and treat
    a list as a batch. CVAT drops the body of an error, so the sentence is logged too. After an unrecoverable CUDA error
    the process exits, and the platform starts a new one.
    """
    started = perf_counter()
    try:
        body, status = _loaded(context)(event.body), 200
    except tuple(STATUS) as error:
        body, status = _refused(error), STATUS[type(error)]
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the worker answers and lives on
        body, status = _failed(error), 500
    milliseconds = 1000 * (perf_counter() - started)
    _log.info("answered %d with %d bytes in %.1f milliseconds", status, len(body), milliseconds)
    return context.Response(body=body, status_code=status, content_type=_JSON, headers={})


def _loaded(context: Any) -> Answer:
    answer: Answer | None = getattr(context.user_data, "answer", None)
    if answer is None:
        raise NotReadyError("the model is not loaded yet: try again in a moment")
    return answer


def _refused(error: Exception) -> str:
    _log.warning("request refused: %s", error)
    return _error_body(str(error))


def _failed(error: Exception) -> str:
    _log.error("request failed: %s: %s", type(error).__name__, error, exc_info=error)
    if _unrecoverable(error):
        os._exit(1)
    return _error_body(f"internal error ({type(error).__name__}): see the function's log")


def _unrecoverable(error: Exception) -> bool:
    """Whether the CUDA context is lost, so that every later call would fail too. Out of memory is not such an error."""
    return isinstance(error, RuntimeError) and "CUDA error" in str(error) and "out of memory" not in str(error)


def _error_body(message: str) -> str:
    return orjson.dumps({"error": message}).decode()
