"""The HTTP faces of the functions: each function's own, and the part of Nuclio's dashboard API that CVAT uses.

CVAT's side is cvat/apps/lambda_manager/views.py (``LambdaGateway``): it lists functions, then calls them directly, by
port, or through the dashboard, by name. The dashboard's side is nuclio/nuclio pkg/dashboard/resource.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from promptable.config.function_yaml import to_document
from promptable.local.bodies import Bodies, BodyError
from promptable.local.function import Function
from promptable.local.messages import Message, error_message

_OF_A_PAGE = "a web page asks: functions answer programs such as CVAT's server, which send no header Origin"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def function_app(function: Function, bodies: Bodies) -> Starlette:
    """The function as CVAT's direct mode calls it, ``POST /``; every other method and path reaches the handler too."""

    async def invoke(request: Request) -> Response:
        return await _invoke(function, bodies, request, request.url.path)

    return Starlette(routes=[Route("/{path:path}", invoke, methods=_METHODS)])


def dashboard_app(functions: Mapping[str, Function], ports: Mapping[str, int], bodies: Bodies) -> Starlette:
    """The dashboard over these functions; both mappings go by function name."""

    async def listing(_request: Request) -> Response:
        return JSONResponse({name: _description(function, ports[name]) for name, function in functions.items()})

    async def one(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in functions:
            return _unknown(name)
        return JSONResponse(_description(functions[name], ports[name]))

    async def invoke(request: Request) -> Response:
        name = request.headers.get("x-nuclio-function-name", "")
        if name not in functions:
            return _unknown(name)
        path = "/" + request.headers.get("x-nuclio-path", "").lstrip("/")
        return await _invoke(functions[name], bodies, request, path)

    return Starlette(
        routes=[
            Route("/api/functions", listing),
            Route("/api/functions/{name}", one),
            Route("/api/function_invocations", invoke, methods=["POST"]),
        ]
    )


def _description(function: Function, port: int) -> Mapping[str, object]:
    """A function as the dashboard describes it."""
    document = to_document(function.config)
    return {
        "metadata": {"namespace": "nuclio", "labels": {"nuclio.io/project-name": "cvat"}, **document["metadata"]},
        "spec": document["spec"],
        "status": {"state": function.state, "message": function.failure, "httpPort": port},
    }


def _unknown(name: str) -> Response:
    if not name:
        return _http(error_message(400, "the header x-nuclio-function-name is missing"))
    return _http(error_message(404, f"there is no function {name!r}"))


async def _invoke(function: Function, bodies: Bodies, request: Request, path: str) -> Response:
    if "origin" in request.headers:  # any page that is open in a browser of this machine could keep the models busy
        return _http(error_message(403, _OF_A_PAGE))
    try:
        async with bodies.received(request, function.config.trigger.max_body_bytes) as body:
            return _http(await function.call(Message(_event(function, request, path, len(body)), body)))
    except BodyError as error:
        return _http(error_message(error.status, str(error)))
    except asyncio.CancelledError:  # uvicorn's, when the last requests have had their time
        return _http(error_message(503, "the server is stopping"))


def _event(function: Function, request: Request, path: str, size: int) -> Mapping[str, object]:
    """The fields of an event without its body, as Nuclio's processor sends them to nuclio-sdk."""
    return {
        "id": str(uuid.uuid4()),
        "trigger": {"kind": "http", "name": function.config.trigger.name},
        "content_type": request.headers.get("content-type", ""),
        "headers": {name.title(): value for name, value in request.headers.items()},
        "fields": dict(request.query_params),
        "method": request.method,
        "path": path,
        "url": str(request.url),
        "size": size,
        "timestamp": int(time.time()),
        "shard_id": 0,
        "num_shards": 0,
        "type": "",
        "type_version": "",
        "version": "",
    }


def _http(reply: Message) -> Response:
    headers = {**reply.header["headers"], "content-type": reply.header["content_type"]}
    return Response(memoryview(reply.body), reply.header["status"], headers)
