import asyncio
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptable.local.messages import Message, receive, receive_async, send, send_async

_HEADERS = st.dictionaries(st.text(), st.text() | st.integers() | st.none())


@settings(max_examples=30, deadline=None)
@given(_HEADERS, st.binary())
def test_a_message_arrives_as_it_was_sent(header: dict[str, object], body: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, theirs.makefile("rb") as stream:
        send(ours, Message(header, body))
        assert receive(stream) == Message(header, body)


def test_a_large_body_goes_both_ways() -> None:
    body = bytes(range(256)) * 100_000

    async def exchange(ours: socket.socket, theirs: socket.socket) -> Message:
        ours.setblocking(False)
        echo = asyncio.to_thread(lambda: send(theirs, receive(theirs.makefile("rb"))))
        _, reply, _ = await asyncio.gather(send_async(ours, Message({"a": 1}, body)), receive_async(ours), echo)
        return reply

    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert asyncio.run(exchange(ours, theirs)) == Message({"a": 1}, body)


@pytest.mark.parametrize("sent", [b"", b"\0\0\0", struct.pack(">QQ", 5, 0) + b"{}", struct.pack(">QQ", 2, 3) + b"{}ab"])
def test_an_end_before_the_whole_message_is_told(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs, theirs.makefile("rb") as stream:
        ours.sendall(sent)
        ours.close()
        with pytest.raises(EOFError):
            receive(stream)
