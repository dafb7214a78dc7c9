"""The link between the server and a worker process: messages of a small JSON header and a body of raw bytes.

On the socket a message is two unsigned 64-bit big-endian lengths, the header's and the body's, then both. A body is
never parsed, copied into the header, or pickled on the way.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">QQ")


@dataclass(frozen=True)
class Message:
    """One message; what the header holds is up to the two ends."""

    header: Mapping[str, Any]
    body: bytes | bytearray = b""


def error_message(status: int, sentence: str) -> Message:
    """A reply of a function that carries ``{"error": sentence}``."""
    header = {"status": status, "content_type": "application/json", "headers": {}}
    return Message(header, json.dumps({"error": sentence}).encode())


def send(link: socket.socket, message: Message) -> None:
    """Send, blocking. Raises OSError when the other end is gone."""
    link.sendall(_opening(message))
    if message.body:  # who got a whole message without one may have closed the link
        link.sendall(message.body)


def receive(stream: BinaryIO) -> Message:
    """Receive from a blocking socket's file. Raises EOFError when the other end is gone."""
    header_length, body_length = _LENGTHS.unpack(_read(stream, _LENGTHS.size))
    return Message(json.loads(_read(stream, header_length)), _read(stream, body_length))


async def send_async(link: socket.socket, message: Message) -> None:
    """Send over a non-blocking socket. Raises OSError when the other end is gone."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(link, _opening(message))
    await loop.sock_sendall(link, message.body)


async def receive_async(link: socket.socket) -> Message:
    """Receive from a non-blocking socket. Raises EOFError or OSError when the other end is gone."""
    header_length, body_length = _LENGTHS.unpack(await _read_async(link, _LENGTHS.size))
    return Message(json.loads(await _read_async(link, header_length)), await _read_async(link, body_length))


def _opening(message: Message) -> bytes:
    header = json.dumps(message.header).encode()
    return _LENGTHS.pack(len(header), len(message.body)) + header


def _read(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


async def _read_async(link: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        received = await asyncio.get_running_loop().sock_recv_into(link, rest)
        if not received:
            raise EOFError
        rest = rest[received:]
    return data
