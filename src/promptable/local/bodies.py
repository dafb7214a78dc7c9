"""Bodies of requests: how many bytes of them the server holds at a time, and how long a client may take to send one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

MOST_BYTES = 2 * 2**30
"""The most bytes of all bodies that are not answered yet: eight of the largest that a function takes."""
LONGEST_S = 120.0
"""The most seconds that a body may take to arrive."""


class BodyError(RuntimeError):
    """A body is refused; ``status`` is the HTTP status to answer with the message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bodies:
    """The bodies of all requests that a server is working on."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def received(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The body, of at most ``limit`` bytes, while the block runs. Raises BodyError.

        A body that is refused is read to its end all the same: a client reads no answer before it has sent everything.
        """
        chunks: list[bytes] = []
        try:
            length = await self._read_in_time(request, limit, chunks)
            if length > limit:
                raise BodyError(400, f"the body is over this function's maxRequestBodySize of {limit} bytes")
            if length and not chunks:
                raise BodyError(503, "other requests take all the memory there is for them: try again in a moment")
            yield b"".join(chunks)
        finally:
            self._let_go(chunks)

    async def _read_in_time(self, request: Request, limit: int, chunks: list[bytes]) -> int:
        try:
            async with asyncio.timeout(LONGEST_S):
                return await self._read(request, limit, chunks)
        except ClientDisconnect:
            raise BodyError(400, "the client left before its request was complete") from None
        except TimeoutError:
            raise BodyError(408, f"the request was not complete after {LONGEST_S:g} seconds") from None

    async def _read(self, request: Request, limit: int, chunks: list[bytes]) -> int:
        """Read the body into ``chunks``, or empty these if it is too long or there is no room. Returns its length."""
        length, fits = 0, True
        async for chunk in request.stream():
            length += len(chunk)
            fits = fits and length <= limit and self._held + len(chunk) <= MOST_BYTES
            if fits:
                self._held += len(chunk)
                chunks.append(chunk)
            else:
                self._let_go(chunks)
        return length

    def _let_go(self, chunks: list[bytes]) -> None:
        self._held -= sum(map(len, chunks))
        chunks.clear()
