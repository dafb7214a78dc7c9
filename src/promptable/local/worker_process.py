"""A worker process of one function: what Nuclio's Python wrapper does, over the link to the server.

Run as ``python -m promptable.local.worker_process <launch as JSON>`` with a pipe from the server as stdin, which ends
when the server does. It imports the function's handler, calls ``init_context``, says hello, and answers requests one
after the other. The contract followed is nuclio/nuclio pkg/processor/runtime/python/py/_nuclio_wrapper.py.
"""

import base64
import importlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import nuclio_sdk
import nuclio_sdk.json_encoder

from promptable.config.environment import SettingsError
from promptable.config.labels import LabelError
from promptable.local.logs import function_logger, log_failure
from promptable.local.messages import Message, error_message, receive, send
from promptable.models.errors import ModelError

Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Launch:
    """What a worker process is told when it starts."""

    function: str
    folder: str
    handler: str
    trigger: str
    worker_id: int
    link_fd: int


def main() -> None:
    """Serve until the server closes the link."""
    threading.Thread(target=_exit_with_server, daemon=True).start()
    launch = Launch(**json.loads(sys.argv[1]))
    link = socket.socket(fileno=launch.link_fd)
    context = _context(launch)
    try:
        handler = _load(launch, context)
    except Exception as error:  # noqa: BLE001 - the function's own code may raise anything
        send(link, Message({"error": _explained(context, error)}))
        return
    send(link, Message({}))
    _serve(link, context, handler)


def _exit_with_server() -> None:
    """End this process, whatever it is doing, when the server is gone."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _context(launch: Launch) -> Any:
    return nuclio_sdk.Context(
        logger=function_logger(launch.function),
        platform=nuclio_sdk.Platform("local", namespace="nuclio"),
        worker_id=launch.worker_id,
        trigger=nuclio_sdk.TriggerInfo("http", launch.trigger),
    )


def _load(launch: Launch, context: Any) -> Handler:
    """Import the handler and call its module's ``init_context``."""
    module_name, entry = launch.handler.split(":")
    sys.path.insert(0, launch.folder)
    module = importlib.import_module(module_name)
    handler: Handler = getattr(module, entry)
    if hasattr(module, "init_context"):
        module.init_context(context)
    return handler


def _explained(context: Any, error: Exception) -> str:
    """Why the function cannot start. What its user can mend is a sentence; anything else has its traceback logged."""
    if isinstance(error, (SettingsError, LabelError, ModelError, FileNotFoundError)):
        return str(error)
    log_failure(context.logger, "init_context failed: the function cannot start", error)
    return f"{type(error).__name__}: {error}"


def _serve(link: socket.socket, context: Any, handler: Handler) -> None:
    with link.makefile("rb") as requests, suppress(EOFError, ConnectionError):
        while True:
            send(link, _answer(context, handler, receive(requests)))


def _answer(context: Any, handler: Handler, request: Message) -> Message:
    """One event in, one response out: whatever a handler raises is a 500, whose traceback goes to the log only."""
    try:
        event = nuclio_sdk.Event.deserialize(
            {**request.header, "body": request.body}, kind=nuclio_sdk.EventDeserializerKinds.msgpack
        )
        return _response(context, handler(context, event))
    except BaseException as error:  # noqa: BLE001 - the function's own code may raise anything
        log_failure(context.logger, "the handler failed", error)
        return error_message(500, f"the handler failed ({type(error).__name__}): see the function's log")


def _response(context: Any, output: Any) -> Message:
    """A handler's output as nuclio-sdk and Nuclio's processor turn it into HTTP."""
    if isinstance(output, list):
        context.logger.warn("the handler answered a list: Nuclio takes it for a batch and sends the first element only")
        output = output[0]
    response = nuclio_sdk.Response.from_entrypoint_output(nuclio_sdk.json_encoder.Encoder().encode, output)
    header = {
        "status": int(response["status_code"]) or 200,
        "content_type": str(response["content_type"]),
        "headers": {name: value for name, value in response["headers"].items() if isinstance(value, str)},
    }
    is_text = response["body_encoding"] == "text"
    return Message(header, response["body"].encode() if is_text else base64.b64decode(response["body"]))


if __name__ == "__main__":
    main()
