"""The one way from a Nuclio event to a Nuclio response, and the one place that catches every error."""

import os
import traceback
from collections.abc import Callable
from time import perf_counter
from typing import Any

import orjson

from promptable.errors import BadRequestError, NotReadyError, OutOfMemoryError

Answer = Callable[[object], str]
"""A loaded function: request body (dict, or bytes where it was no JSON) -> answer as JSON text."""

_JSON = "application/json"


def respond(context: Any, event: Any) -> Any:
    """Answer one event with ``context.user_data.answer``: 200, or 400 / 503 / 500 with ``{"error": sentence}``.

    ``context`` and ``event`` are nuclio-sdk's. The body is always a str: Nuclio would base64 bytes and take a list for
    a batch. CVAT drops the body of an error, so its reason is logged too. After an unrecoverable CUDA error the process
    ends, and the platform starts a new one.
    """
    started = perf_counter()
    try:
        body, status = _loaded(context)(event.body), 200
    except BadRequestError as error:
        body, status = _refused(context, error), 400
    except NotReadyError as error:
        body, status = _refused(context, error), 503
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the worker answers and lives on
        body, status = _failed(context, error), 500
    milliseconds = round(1000 * (perf_counter() - started), 1)
    context.logger.info_with("answered", status=status, milliseconds=milliseconds, bytes=len(body))
    return context.Response(body=body, status_code=status, content_type=_JSON, headers={})


def _loaded(context: Any) -> Answer:
    answer: Answer | None = getattr(context.user_data, "answer", None)
    if answer is None:
        raise NotReadyError("the model is not loaded yet: try again in a moment")
    return answer


def _refused(context: Any, error: Exception) -> str:
    context.logger.warn_with("request refused", reason=str(error))
    return _error_body(str(error))


def _failed(context: Any, error: Exception) -> str:
    context.logger.error_with(
        "request failed", error=f"{type(error).__name__}: {error}", traceback="".join(traceback.format_exception(error))
    )
    if _unrecoverable(error):
        os._exit(1)
    return _error_body(f"internal error ({type(error).__name__}): see the function's log")


def _unrecoverable(error: Exception) -> bool:
    """Whether the CUDA context is lost, so that every later call would fail too. Out of memory is no such case."""
    if isinstance(error, OutOfMemoryError) or "out of memory" in str(error):
        return False
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def _error_body(message: str) -> str:
    return orjson.dumps({"error": message}).decode()
