"""The tools underneath: docker, nuctl, kubectl. Asked, or run to change something."""

import shlex
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from shutil import which
from threading import Thread

from promptable.deploy.reasons import reason

_KEPT_LINES = 400

QUESTION_SECONDS = 60
"""How long a tool may take to answer from what a busy engine or cluster knows."""
CONTAINER_SECONDS = 1800
"""How long a command may take that may have to pull an image first."""


class CommandError(RuntimeError):
    """A tool failed: the message is the line of its output that says why."""


@dataclass(frozen=True)
class Answer:
    """What a tool said."""

    status: int
    out: str
    err: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def why(self) -> str:
        """The line that says why it failed."""
        return reason(f"{self.out}\n{self.err}")


def ask(*command: str, stdin: str | None = None, seconds: float = QUESTION_SECONDS) -> Answer:
    """Run a command that changes nothing.

    A tool that is not installed answers with status 127, one that says nothing in time with 124, as of timeout(1).
    """
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=stdin,
            stdin=None if stdin else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"{shlex.join(command)} did not answer in {seconds:g} s")
    except OSError as error:
        return Answer(127, "", f"{command[0]}: {error.strerror}")
    return Answer(done.returncode, done.stdout.strip(), done.stderr.strip())


def installed(tool: str) -> bool:
    return which(tool) is not None


def run(
    command: Sequence[str], news: Callable[[str], None] | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run a command that changes something, telling each line of its output. Raises CommandError."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    with started(command, environment) as process:
        for line in process.stdout or ():
            lines.append(line)
            if news is not None:
                news(line)
    if process.returncode:
        raise CommandError(reason("".join(lines)))


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str] | None = None, folder: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process with one stream of output, which does not outlive the block. Raises CommandError if it cannot start."""
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            cwd=folder,
        )
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}") from None
    with process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def follow(followed: Mapping[str, Sequence[str]]) -> None:
    """Print what these commands print, each line with its command's name, until all have ended.

    They end with this one at the latest.
    """
    with ExitStack() as stack:
        processes = {name: stack.enter_context(started(each)) for name, each in followed.items()}
        threads = [Thread(target=_print_lines, args=each, daemon=True) for each in processes.items()]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            for process in processes.values():
                process.terminate()
            for thread in threads:  # they read pipes that the stack closes
                thread.join()


def _print_lines(name: str, process: subprocess.Popen[str]) -> None:
    for line in process.stdout or ():
        sys.stdout.write(f"{name} | {line}")
        sys.stdout.flush()


class Collected:
    """The output of a process, read on the side while somebody waits for its end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        self._reader.join()
        return "".join(self._lines)

    def ended(self, seconds: float) -> bool:
        """Wait for so long at most; has it ended?"""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _read(self) -> None:
        with suppress(ValueError):  # the pipe of a process that was given up is closed
            self._lines.extend(self._process.stdout or ())
