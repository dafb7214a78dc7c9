"""The server's side of one worker process."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from promptable.config.nuclio import FunctionConfig
from promptable.local.messages import Message, receive_async, send_async
from promptable.local.worker_process import Launch

GOODBYE_SECONDS = 2.0
"""How long a process that has nothing left to do may take to end by itself."""


class WorkerStartError(Exception):
    """The process did not get to the end of ``init_context``: the message is the reason."""


class WorkerDiedError(Exception):
    """The process ended while it worked on a request: the message says how."""


@dataclass(frozen=True)
class Surroundings:
    """What all worker processes of a function share."""

    folder: Path
    """Where the function's code lies."""
    config: FunctionConfig
    env: Mapping[str, str]
    """The whole environment of the process."""
    log_fd: int
    """Where its stdout and stderr go."""


@dataclass(frozen=True, eq=False)
class Worker:
    """One process, in a session of its own: Ctrl-C does not reach it, and what it starts can be ended with it."""

    number: int
    process: asyncio.subprocess.Process
    link: socket.socket

    @property
    def alive(self) -> bool:
        """Whether an idle process runs. One that ended has closed its end of the link, before asyncio learns of it."""
        try:
            return self.process.returncode is None and self.link.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def call(self, request: Message, timeout_seconds: float | None) -> Message:
        """Let the process answer one request. Raises TimeoutError or WorkerDiedError: the process is then gone."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await send_async(self.link, request)
                return await receive_async(self.link)
        except TimeoutError:
            await self.end()
            raise
        except (EOFError, OSError):
            raise WorkerDiedError(await self.end(GOODBYE_SECONDS)) from None

    async def end(self, grace_seconds: float = 0.0) -> str:
        """Let the process end by itself for so long, then kill it and what it started. Says how it ended."""
        self.link.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self.process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return f"the process ended with code {await self.process.wait()}"


async def start_worker(surroundings: Surroundings, number: int) -> Worker:
    """Start a process and wait until its ``init_context`` is through. Raises WorkerStartError."""
    worker = await _spawn(surroundings, number)
    try:
        hello = await receive_async(worker.link)
    except (EOFError, OSError):
        raise WorkerStartError(await worker.end(GOODBYE_SECONDS)) from None
    except asyncio.CancelledError:
        await worker.end()
        raise
    if "error" in hello.header:
        await worker.end(GOODBYE_SECONDS)
        raise WorkerStartError(hello.header["error"])
    return worker


async def _spawn(surroundings: Surroundings, number: int) -> Worker:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *_command(surroundings, number, theirs.fileno()),
            env=surroundings.env,
            stdin=asyncio.subprocess.PIPE,
            stdout=surroundings.log_fd,
            stderr=surroundings.log_fd,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return Worker(number, process, ours)


def _command(surroundings: Surroundings, number: int, link_fd: int) -> list[str]:
    config, folder = surroundings.config, str(surroundings.folder)
    launch = Launch(config.name, folder, config.spec.handler, config.trigger.name, number, link_fd)
    return [sys.executable, "-u", "-P", "-m", "promptable.local.worker_process", json.dumps(asdict(launch))]
