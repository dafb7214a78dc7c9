"""One function under ``promptable serve``, or under the real Nuclio processor, behind the same interface."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import yaml

from promptable.config.function_yaml import dump, load
from promptable.config.nuclio import FunctionConfig
from promptable.local.options import Options, environment, with_labels
from promptable.local.server import ServeError, serve

_READY_SECONDS = 120.0


@dataclass(frozen=True)
class Served:
    """A function that answers."""

    url: str
    log: Path
    """What the platform and the function wrote so far."""
    stop: Callable[[], None]
    """Stop as an admin would, and wait for the end."""


Platform = Callable[[Path, Path, Options], AbstractContextManager[Served]]
"""Serves the function in a folder, with a second folder to work in, until the block ends; no process is left then.

Raises ServeError if the function cannot start.
"""


@contextmanager
def promptable_serve(folder: Path, work: Path, options: Options) -> Iterator[Served]:
    """Under ``promptable serve``."""
    log = work / "log"
    options = replace(options, dashboard_port=0, port_base=0, log=log, ready_seconds=_READY_SECONDS)
    with ExitStack() as stack:
        running = stack.enter_context(serve(folder.parent, [folder.name], options))
        running.require_ready()
        (name,) = running.functions
        yield Served(running.url(name), log, stack.close)


@dataclass(frozen=True)
class NuclioProcessor:
    """Under Nuclio's processor, started again whenever it ends, as Docker does with ``restartPolicy: always``."""

    binary: Path
    wrapper: Path

    @contextmanager
    def __call__(self, folder: Path, work: Path, options: Options) -> Iterator[Served]:
        config = with_labels(load(folder / "function.yaml"), options)
        port, health_port, admin_port = _free_ports(3)
        env = {**environment(config, options, work), **self._environment(folder)}
        _write_processor_yaml(Path(env["PROMPTABLE_FUNCTION_CONFIG"]), config, port)
        platform = work / "platform.yaml"
        addresses = {"healthCheck": health_port, "webAdmin": admin_port}
        platform.write_text(yaml.safe_dump({key: {"listenAddress": f"127.0.0.1:{p}"} for key, p in addresses.items()}))
        command = [str(self.binary), "--config", env["PROMPTABLE_FUNCTION_CONFIG"], "--platform-config", str(platform)]
        with KeptRunning(command, env, work / "log") as kept:
            kept.wait_until_ready(f"http://127.0.0.1:{health_port}/ready")
            yield Served(f"http://127.0.0.1:{port}", work / "log", kept.stop)

    def _environment(self, folder: Path) -> Mapping[str, str]:
        return {
            "NUCLIO_PYTHON_WRAPPER_PATH": str(self.wrapper),
            "NUCLIO_PYTHON_PATH": str(folder.resolve()),
            "NUCLIO_PYTHON_EXE_PATH": sys.executable,
        }


def _write_processor_yaml(path: Path, config: FunctionConfig, port: int) -> None:
    """The deployed configuration, which in a container listens on port 8080."""
    trigger = config.trigger.replace(kind="http", url=f"127.0.0.1:{port}")
    path.write_text(dump(config.with_spec(triggers={trigger.name: trigger})))


class KeptRunning:
    """A command that runs again and again, until it is stopped or the block ends."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._env = env
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopping = False
        self._keeper = threading.Thread(target=self._keep)

    def __enter__(self) -> "KeptRunning":
        self._start()
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._keeper.join()

    def stop(self) -> None:
        """What ``docker stop`` does, without its limit of 10 s."""
        self._stopping = True
        self._processes[-1].terminate()
        self._keeper.join()

    def wait_until_ready(self, url: str) -> None:
        """Wait for Nuclio's own readiness check. Raises ServeError if the first process ends, or takes too long."""
        deadline = time.monotonic() + _READY_SECONDS
        while not _is_ready(url):
            if len(self._processes) > 1 or time.monotonic() > deadline:
                raise ServeError(f"the processor did not become ready:\n{self._log.read_text()}")
            time.sleep(0.05)

    def _keep(self) -> None:
        self._processes[-1].wait()
        while not self._stopping:
            self._start()
            self._processes[-1].wait()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        self._processes.append(process)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
