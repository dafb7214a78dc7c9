"""``promptable serve`` under load: 1 to 16 annotators, and beside them a whole-task run, on the toy models.

Annotators click, several on one picture and others elsewhere, and every fourth tracks; none pauses. The whole-task run
calls the detector frame after frame. A phase has so many annotators; then Redis, which the functions share, is killed
and comes back empty; then a crowd asks for more than can be answered in the time that a request may wait.

Every answer is compared with what a single client got before. Memory is that of the server and its workers.
"""

import asyncio
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks import load_sessions
from benchmarks.load_sessions import Session
from benchmarks.measure import Measurement, Row
from benchmarks.screen import step
from toy.redis_server import RedisServer, free_port

_ROOT = Path(__file__).parents[1]
_NAMES = ("sam-interactor", "sam2-tracker", "grounding-dino")
_ANNOTATORS = (1, 2, 4, 8, 16)
_CROWD = 256
_WAIT_SECONDS = 2
"""How long a request of the crowd waits for a worker, in place of function.yaml's 20 seconds."""


@dataclass
class Seen:
    """What became of one function's requests in a phase."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


def measurements(quick: bool, minutes: float = 2.0) -> list[Measurement]:
    """Phases of so many minutes in all; ``quick``: of half a one."""
    phases = len(_ANNOTATORS) + 2
    seconds = (30.0 if quick else 60 * minutes) / phases
    return [Measurement(f"{phases} phases of {seconds:.0f} s", partial(_rows, seconds), rows=len(_NAMES) * phases + 1)]


def _rows(seconds: float) -> Iterator[Row]:
    with (
        TemporaryDirectory() as folder,
        _redis() as redis,
        _server(Path(folder), redis) as (process, urls),
        asyncio.Runner() as loop,
    ):
        with step("a single client"):
            everyone = loop.run(_alone(urls))
        phases = [(f"{count} annotators", count, _nothing) for count in _ANNOTATORS]
        phases += [("8, Redis killed", 8, redis.stop), ("8, Redis back", 8, redis.start)]
        for phase, count, event in phases:
            with step(phase):
                rows = loop.run(_phase(phase, everyone, process, urls, count, seconds, event))
            yield from map(_right, rows)
        with step("a crowd"):
            yield _right(loop.run(_crowd(everyone, process, urls)))


def _right(row: Row) -> Row:
    """The row. Raises RuntimeError if it counts a wrong answer."""
    if row.figures["wrong"]:
        raise RuntimeError(f"{row.what}: {row.figures['wrong']:.0f} answers are not a single client's")
    return row


def _nothing() -> None:
    """No event."""


@dataclass(frozen=True)
class Everyone:
    """All sessions, by who asks, with the answers of a single client by the session's name."""

    clicks: Sequence[Session]
    tracks: Sequence[Session]
    frames: Sequence[Session]
    answers: Mapping[str, Sequence[object]]


async def _alone(urls: Mapping[str, str]) -> Everyone:
    clicks, tracks, frames = load_sessions.clicks(), load_sessions.tracks(), load_sessions.frames()
    async with _client(urls) as post:
        answers = {one.name: await one.ask(post) for one in chain(clicks, tracks, frames)}
    return Everyone(clicks, tracks, frames, answers)


async def _phase(
    name: str,
    everyone: Everyone,
    process: psutil.Process,
    urls: Mapping[str, str],
    annotators: int,
    seconds: float,
    event: Callable[[], None],
) -> list[Row]:
    seen = {function: Seen() for function in _NAMES}
    end = time.perf_counter() + seconds
    async with AsyncExitStack() as stack:
        people = [
            _work(await stack.enter_async_context(_client(urls, seen)), _endless(everyone, number), everyone, seen, end)
            for number in range(annotators)
        ]
        task = _work(await stack.enter_async_context(_client(urls, seen)), cycle(everyone.frames), everyone, seen, end)
        await asyncio.gather(*people, task, asyncio.to_thread(event))
    held = _megabytes(process)
    return [_served(name, function, seen[function], seconds, held[function]) for function in _NAMES]


def _endless(everyone: Everyone, number: int) -> Iterator[Session]:
    """One annotator's sessions, in an order of their own."""
    order = random.Random(number)
    sessions = everyone.tracks if number % 4 == 3 else everyone.clicks
    while True:
        yield from order.sample(sessions, len(sessions))


async def _work(
    post: load_sessions.Post, sessions: Iterator[Session], everyone: Everyone, seen: Mapping[str, Seen], end: float
) -> None:
    """One after the other until the time is over; one that is refused or fails is left."""
    for session in sessions:
        if time.perf_counter() > end:
            return
        try:
            answers = await session.ask(post)
        except httpx.HTTPStatusError:
            continue
        if answers != everyone.answers[session.name]:
            seen[_FUNCTION[session.name.split()[0]]].statuses["wrong"] += 1


_FUNCTION = {"clicks": "sam-interactor", "track": "sam2-tracker", "frame": "grounding-dino"}


async def _crowd(everyone: Everyone, process: psutil.Process, urls: Mapping[str, str]) -> Row:
    """Many frames at once. A request is answered, or refused once it has waited; none waits longer."""
    seen = {function: Seen() for function in _NAMES}
    started = time.perf_counter()
    async with _client(urls, seen) as post:
        asked = [everyone.frames[number % len(everyone.frames)].ask(post) for number in range(_CROWD)]
        results = await asyncio.gather(*asked, return_exceptions=True)
    for number, result in enumerate(results):
        expected = everyone.answers[everyone.frames[number % len(everyone.frames)].name]
        if not isinstance(result, BaseException) and result != expected:
            seen["grounding-dino"].statuses["wrong"] += 1
    held = _megabytes(process)["grounding-dino"]
    took = time.perf_counter() - started
    return _served(f"a crowd of {_CROWD}", "grounding-dino", seen["grounding-dino"], took, held)


def _served(phase: str, function: str, seen: Seen, seconds: float, megabytes: float) -> Row:
    """Answers a second, milliseconds, requests that got none or a wrong one, and what the function's worker holds."""
    answered, refused, wrong = (seen.statuses[status] for status in ("200", "503", "wrong"))
    p50, p95, p99 = (1000 * float(part) for part in np.percentile(seen.seconds or [0.0], [50, 95, 99]))
    figures = {
        "a s": answered / seconds,
        "p50 ms": p50,
        "p95 ms": p95,
        "p99 ms": p99,
        "503": refused,
        "failed": sum(seen.statuses.values()) - answered - refused - wrong,
        "wrong": wrong,
        "MB": megabytes,
    }
    return Row(f"{phase}, {function}", figures)


@asynccontextmanager
async def _client(urls: Mapping[str, str], seen: Mapping[str, Seen] | None = None) -> AsyncIterator[load_sessions.Post]:
    """One person's connection. Raises HTTPStatusError for anything but 200."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=600, limits=limits) as client:
        yield partial(_post, client, urls, seen)


async def _post(
    client: httpx.AsyncClient, urls: Mapping[str, str], seen: Mapping[str, Seen] | None, function: str, body: bytes
) -> Any:
    started = time.perf_counter()
    response = await client.post(urls[function], content=body, headers={"content-type": "application/json"})
    if seen is not None:
        seen[function].seconds.append(time.perf_counter() - started)
        seen[function].statuses[str(response.status_code)] += 1
    return response.raise_for_status().json()


@contextmanager
def _redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _server(folder: Path, redis: RedisServer) -> Iterator[tuple[psutil.Process, Mapping[str, str]]]:
    """The command, with its log in a file; the URL of each function once all are ready."""
    functions = folder / "functions"
    shutil.copytree(_ROOT / "functions", functions)
    for file in functions.glob("*/function.yaml"):
        waiting = f"workerAvailabilityTimeoutMilliseconds: {1000 * _WAIT_SECONDS}"
        file.write_text(re.sub(r"workerAvailabilityTimeoutMilliseconds: \d+", waiting, file.read_text()))
    command = [sys.executable, "-W", "ignore", "-m", "promptable", "serve", *_NAMES, "--functions", str(functions)]
    command += ["--models", "toy", "--labels", "toy/labels.yaml", "--dashboard-port", str(port := free_port())]
    command += ["--port-base", "0", *(f"--env={name}={value}" for name, value in redis.variables.items())]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=_ROOT, stdout=log, stderr=log)  # noqa: S603
    try:
        with step("promptable serve"):
            yield psutil.Process(server.pid), _urls(server, f"http://127.0.0.1:{port}/api/functions")
    finally:
        server.terminate()
        server.wait()


def _urls(server: "subprocess.Popen[bytes]", dashboard: str) -> Mapping[str, str]:
    """The URL of each function once all are ready. Raises RuntimeError if the server ends before."""
    while server.poll() is None:
        time.sleep(0.5)
        try:
            functions = httpx.get(dashboard).json()
        except httpx.TransportError:
            continue
        states = {name: one["status"] for name, one in functions.items()}
        if all(status["state"] != "building" for status in states.values()):
            return {name: f"http://127.0.0.1:{status['httpPort']}/" for name, status in states.items()}
    raise RuntimeError(f"promptable serve ended with {server.returncode}")


def _megabytes(server: psutil.Process) -> Mapping[str, float]:
    """Of each function's worker."""
    held: dict[str, float] = {}
    for worker in server.children(recursive=True):
        command = " ".join(worker.cmdline())
        held |= {name: worker.memory_info().rss / 2**20 for name in _NAMES if f'"{name}"' in command}
    return held
