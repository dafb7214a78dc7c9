"""Pictures fetched ahead, several requests under way, results as they come; bounded however many there are."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, Full, Queue
from typing import Any

from promptable.cvat.detection import Detection
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames

_AHEAD = 8
"""How many more pictures wait for a worker, and results to be recorded, than there are workers."""
_LOOK_S = 0.2
"""Seconds after which a waiting thread looks whether it is still needed."""


@dataclass(frozen=True)
class Fetched:
    """A frame's original bytes, or why there are none."""

    frame: int
    data: bytes = b""
    error: CvatError | None = None


@dataclass(frozen=True)
class Result:
    """What was found on a frame, or why nothing could be."""

    frame: int
    detections: Sequence[Detection] = ()
    error: CvatError | None = None


def fetch(frames: Frames, numbers: Sequence[int]) -> Iterator[Fetched]:
    """The originals in order; frame by frame where a chunk cannot be had. Raises CvatError without a server."""
    for _, of_chunk in groupby(numbers, lambda number: number // frames.chunk_size):
        yield from _part(frames, list(of_chunk))


def _part(frames: Frames, numbers: Sequence[int]) -> Iterator[Fetched]:
    got = 0
    try:
        for number, data in frames.read(numbers):
            yield Fetched(number, data)
            got += 1
    except CvatError as error:
        _check_there(error)
        yield from (_single(frames, number) for number in numbers[got:])


def _single(frames: Frames, number: int) -> Fetched:
    try:
        return Fetched(number, frames.data(number))
    except CvatError as error:
        _check_there(error)
        return Fetched(number, error=error)


def _check_there(error: CvatError) -> None:
    """Raise what is not about one frame: nothing answered, or this account may not read."""
    if error.status in (None, 401, 403):
        raise error


def ask_all(
    fetched: Iterator[Fetched], ask: Callable[[Fetched], Result], concurrency: int
) -> Generator[Result, None, None]:
    """Results in the order in which they come; what ``fetched`` and ``ask`` raise is raised here.

    Threads are left behind when the caller stops early: their answers are of no interest.
    """
    work = _Work(fetched, ask, concurrency)
    for target in (work.feed, *[work.answer] * concurrency):
        threading.Thread(target=target, daemon=True).start()
    try:
        yield from work.results()
    finally:
        work.stop.set()


class _Work:
    """Two bounded queues: pictures that wait for a worker, results that wait to be recorded. None ends either."""

    def __init__(self, fetched: Iterator[Fetched], ask: Callable[[Fetched], Result], workers: int) -> None:
        self.stop = threading.Event()
        self._fetched = fetched
        self._ask = ask
        self._workers = workers
        self._todo: Queue[Fetched | None] = Queue(_AHEAD + workers)
        self._done: Queue[Result | BaseException | None] = Queue(_AHEAD + workers)

    def feed(self) -> None:
        try:
            for one in self._fetched:
                self._put(self._todo, one)
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are read
            self._put(self._done, error)
        for _ in range(self._workers):
            self._put(self._todo, None)

    def answer(self) -> None:
        try:
            while (one := self._next()) is not None:
                self._put(self._done, self._ask(one))
        except BaseException as error:  # noqa: BLE001 - as above
            self._put(self._done, error)
        self._put(self._done, None)

    def results(self) -> Iterator[Result]:
        working = self._workers
        while working:
            match self._done.get():
                case None:
                    working -= 1
                case BaseException() as error:
                    raise error
                case Result() as result:
                    yield result

    def _next(self) -> Fetched | None:
        while not self.stop.is_set():
            with suppress(Empty):
                return self._todo.get(timeout=_LOOK_S)
        return None

    def _put(self, queue: "Queue[Any]", item: object) -> None:
        while not self.stop.is_set():
            with suppress(Full):
                return queue.put(item, timeout=_LOOK_S)
        return None
