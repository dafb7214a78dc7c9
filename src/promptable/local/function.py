"""A function: its worker processes and the requests that wait for one, as Nuclio's processor handles them."""

import asyncio
import logging
from enum import StrEnum

from promptable.config.nuclio import FunctionConfig
from promptable.local.messages import Message, error_message
from promptable.local.worker import (
    GOODBYE_SECONDS,
    Surroundings,
    Worker,
    WorkerDiedError,
    WorkerStartError,
    start_worker,
)

_log = logging.getLogger("promptable.local")
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 60.0
"""Between tries to start a worker that died; each is twice the one before."""


class State(StrEnum):
    """Nuclio's words for what a function is doing."""

    BUILDING = "building"
    READY = "ready"
    ERROR = "error"


class Function:
    """One function under its own number of workers. Lives on one event loop."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._workers: dict[int, Worker] = {}
        self._failures: dict[int, str] = {}
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._restarts: set[asyncio.Task[None]] = set()

    @property
    def config(self) -> FunctionConfig:
        """What the function's function.yaml says."""
        return self._surroundings.config

    @property
    def state(self) -> State:
        """Ready with one worker or more; in error when none could start."""
        if self._workers:
            return State.READY
        return State.ERROR if len(self._failures) == self.config.trigger.workers else State.BUILDING

    @property
    def failure(self) -> str:
        """Why a worker could not start; empty if all could."""
        return next(iter(self._failures.values()), "")

    async def start(self) -> None:
        """Start the workers; returns when every one is ready or has failed (``failure`` says why)."""
        await asyncio.gather(*(self._start_worker(number) for number in range(self.config.trigger.workers)))

    async def stop(self) -> None:
        """End every process: idle ones in peace, busy ones at once."""
        for restart in self._restarts:
            restart.cancel()
        await asyncio.gather(*self._restarts, return_exceptions=True)
        idle = {self._idle.get_nowait() for _ in range(self._idle.qsize())}
        await asyncio.gather(
            *(worker.end(GOODBYE_SECONDS if worker in idle else 0.0) for worker in self._workers.values())
        )

    async def call(self, request: Message) -> Message:
        """Answer one event, with the status that Nuclio gives where something goes wrong; never raises.

        The headers of request and reply are those of ``worker_process``.
        """
        if self.state is State.ERROR:
            return self._error(503, f"could not start: {self.failure}")
        try:
            worker = await self._take_worker()
        except TimeoutError:
            return self._error(503, f"no worker came free within {self.config.trigger.wait_seconds:g} s")
        return await self._work(worker, request)

    async def _work(self, worker: Worker, request: Message) -> Message:
        try:
            reply = await worker.call(request, self.config.event_timeout_seconds)
        except TimeoutError:
            self._restart(worker)
            return self._error(
                408, f"no answer within {self.config.event_timeout_seconds:g} s: the worker is restarted"
            )
        except WorkerDiedError as error:
            self._restart(worker)
            return self._error(500, f"{error}: the worker is restarted")
        self._idle.put_nowait(worker)
        return reply

    async def _take_worker(self) -> Worker:
        """Wait for an idle worker; one that died meanwhile is started anew. Raises TimeoutError."""
        async with asyncio.timeout(self.config.trigger.wait_seconds):
            while not (worker := await self._idle.get()).alive:
                self._restart(worker)
                await worker.end()
            return worker

    def _restart(self, worker: Worker) -> None:
        del self._workers[worker.number]
        task = asyncio.create_task(self._restart_worker(worker.number))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _restart_worker(self, number: int) -> None:
        """Start it, again and again if need be: what it lacks, such as memory, may be there later."""
        pause = _FIRST_PAUSE_SECONDS
        await self._start_worker(number)
        while number in self._failures:
            _log.error(
                "%s: worker %d could not start, trying again in %g s: %s",
                *(self.config.name, number, pause, self._failures[number]),
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            await self._start_worker(number)

    async def _start_worker(self, number: int) -> None:
        try:
            worker = await start_worker(self._surroundings, number)
        except WorkerStartError as error:
            self._failures[number] = str(error)
        else:
            self._failures.pop(number, None)
            self._workers[number] = worker
            self._idle.put_nowait(worker)

    def _error(self, status: int, reason: str) -> Message:
        _log.error("%s: answered %d: %s", self.config.name, status, reason)
        return error_message(status, f"{self.config.name}: {reason}")
