"""The bodies of several requests at once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request

from promptable.local import bodies
from promptable.local.bodies import Bodies, BodyError

LIMIT = 900


def _request(*chunks: int, before_the_last: asyncio.Event | None = None) -> Request:
    """A request whose body comes in chunks of so many bytes."""
    parts = iter(chunks)

    async def receive() -> dict[str, Any]:
        size = next(parts)
        last = size == chunks[-1]
        if last and before_the_last is not None:
            await before_the_last.wait()
        return {"type": "http.request", "body": b"x" * size, "more_body": not last}

    return Request({"type": "http", "headers": []}, receive)


async def _length(held: Bodies, request: Request, while_held: Callable[[], Coroutine[Any, Any, None]]) -> int:
    async with held.received(request, LIMIT) as body:
        await while_held()
        return len(body)


async def _nothing() -> None:
    pass


def test_they_take_no_more_memory_together_than_there_is_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 1000)

    async def run() -> None:
        held, answered = Bodies(), asyncio.Event()
        first = asyncio.create_task(_length(held, _request(500, 300), lambda: _wait(answered)))
        await asyncio.sleep(0.01)
        with pytest.raises(BodyError, match="try again in a moment") as refused:
            await _length(held, _request(150, 100), _nothing)
        assert refused.value.status == 503
        assert await _length(held, _request(150, 50), _nothing) == 200, "what was refused holds nothing"
        answered.set()
        assert await first == 800
        assert await _length(held, _request(500, 300), _nothing) == 800, "nor does what was answered"

    asyncio.run(run())


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def test_one_that_is_too_long_is_read_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 1000)

    async def run() -> None:
        held, end = Bodies(), asyncio.Event()
        too_long = asyncio.create_task(_length(held, _request(800, 500, 1, before_the_last=end), _nothing))
        await asyncio.sleep(0.01)
        assert await _length(held, _request(850), _nothing) == 850
        end.set()
        with pytest.raises(BodyError, match="maxRequestBodySize of 900 bytes") as refused:
            await too_long
        assert refused.value.status == 400

    asyncio.run(run())


def test_an_empty_one_is_one() -> None:
    assert asyncio.run(_length(Bodies(), _request(0), _nothing)) == 0
