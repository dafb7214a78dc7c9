"""``promptable serve``: the functions in processes of this machine, behind the ports that CVAT knows."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from anyio import CancelScope
from anyio.from_thread import start_blocking_portal
from starlette.types import ASGIApp

from promptable.config import function_yaml
from promptable.config.nuclio import FunctionConfig
from promptable.local.apps import dashboard_app, function_app
from promptable.local.bodies import Bodies
from promptable.local.function import Function, State
from promptable.local.hosts import only_under_known_names
from promptable.local.options import Options, environment, with_labels
from promptable.local.worker import Surroundings

_STDERR = 2
_LAST_REQUESTS_SECONDS = 3


class ServeError(RuntimeError):
    """The functions cannot be served: the message says which and why."""


@dataclass(frozen=True)
class Running:
    """Functions that are being served. Safe to read from any thread."""

    host: str
    dashboard_port: int
    ports: Mapping[str, int]
    functions: Mapping[str, Function]

    @property
    def dashboard_url(self) -> str:
        """Where the dashboard API is."""
        return self._url(self.dashboard_port)

    def url(self, name: str) -> str:
        """Where the function of this name is called, as in CVAT's direct mode."""
        return self._url(self.ports[name])

    def require_ready(self) -> None:
        """Raise ServeError if a function could not start."""
        failed = [name for name, function in self.functions.items() if function.state is State.ERROR]
        if failed:
            raise ServeError("; ".join(f"{name} could not start: {self.functions[name].failure}" for name in failed))

    def _url(self, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}"


@contextmanager
def serve(functions_dir: Path, names: Sequence[str] = (), options: Options | None = None) -> Iterator[Running]:
    """Serve the functions in these folders of ``functions_dir`` (no names: in all) until the block ends.

    Enters when every function is ready or has failed; ``Running.require_ready`` tells. Raises FunctionConfigError,
    LabelError, and ServeError for a port that is taken or functions that take over ``options.ready_seconds`` to start.
    """
    options = options or Options()
    found = function_yaml.find(functions_dir, names)
    configs = [with_labels(config, options) for config in found.values()]
    with ExitStack() as stack:
        ports = [options.port(config, number) for number, config in enumerate(configs)]
        listeners = [stack.enter_context(listen(options.host, port)) for port in (*ports, options.dashboard_port)]
        log_fd = stack.enter_context(options.log.open("ab")).fileno() if options.log else _STDERR
        config_dir = Path(stack.enter_context(TemporaryDirectory(prefix="promptable-")))
        environments = [environment(config, options, config_dir) for config in configs]
        _check_workers(configs, environments)
        functions = [
            Function(Surroundings(folder, config, variables, log_fd))
            for folder, config, variables in zip(found, configs, environments, strict=True)
        ]
        portal = stack.enter_context(start_blocking_portal())
        yield stack.enter_context(portal.wrap_async_context_manager(_serving(options, functions, listeners)))


def _check_workers(configs: Sequence[FunctionConfig], environments: Sequence[Mapping[str, str]]) -> None:
    for config, variables in zip(configs, environments, strict=True):
        if config.lacks_redis(variables):
            raise ServeError(
                f"{config.name} has numWorkers: {config.trigger.workers}, and a worker of a tracker does not know the"
                " objects of another one without CVAT_FUNCTIONS_REDIS_HOST"
            )


@asynccontextmanager
async def _serving(
    options: Options, functions: Sequence[Function], listeners: Sequence[socket.socket]
) -> AsyncIterator[Running]:
    """Run the functions behind these sockets, the last of which is the dashboard's."""
    by_name = {function.config.name: function for function in functions}
    *ports, dashboard_port = (listener.getsockname()[1] for listener in listeners)
    running = Running(options.host, dashboard_port, dict(zip(by_name, ports, strict=True)), by_name)
    bodies = Bodies()
    apps = (*(function_app(each, bodies) for each in functions), dashboard_app(by_name, running.ports, bodies))
    allowed = (options.host, socket.gethostname(), *options.allowed_hosts)
    servers = [_http_server(only_under_known_names(app, allowed)) for app in apps]
    serving = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    starting = {asyncio.create_task(function.start()): function for function in functions}
    try:
        await _wait_for(starting, options.ready_seconds)
        yield running
    finally:
        with CancelScope(shield=True):
            await _stop(servers, serving, starting)


async def _wait_for(starting: Mapping[asyncio.Task[None], Function], seconds: float) -> None:
    """Wait until these functions have started or failed. Raises ServeError if they take longer."""
    done, late = await asyncio.wait(starting, timeout=seconds)
    for task in done:
        task.result()
    if late:
        names = ", ".join(starting[task].config.name for task in late)
        raise ServeError(f"not ready within {seconds:g} s: {names}; the log says what went before")


async def _stop(
    servers: Sequence[uvicorn.Server],
    serving: Sequence[asyncio.Task[None]],
    starting: Mapping[asyncio.Task[None], Function],
) -> None:
    """Take no more requests, let the running ones end, then end the processes."""
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*serving)
    for task in starting:
        task.cancel()
    await asyncio.gather(*starting, return_exceptions=True)
    await asyncio.gather(*(function.stop() for function in starting.values()))


def _http_server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, 0 for any free port. Raises ServeError."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ServeError(
            f"cannot listen on {host} port {port} ({os.strerror(error.errno or 0)}): --port-base and --dashboard-port"
            " choose others"
        ) from None
    except OverflowError:
        raise ServeError(f"there is no port {port}: choose one from 1 to 65535") from None
    # Connections inherit it. asyncio sets it only on sockets made with an explicit protocol number: each answer would
    # wait 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
