"""The terminal during a run: finished rows go up, and below them stands what is being done and what is left.

What libraries and processes print meanwhile goes to a file.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_WIDTH = 132
"""Where the output is no terminal."""


class Screen:
    """Rows on stdout, progress on stderr; one console where both are the same terminal."""

    def __init__(self, stdout: TextIO, stderr: TextIO, rows: int) -> None:
        columns = MofNCompleteColumn(), BarColumn(24), TimeElapsedColumn(), TextColumn("{task.description}")
        self.progress = Progress(
            *columns, console=Console(file=stderr), transient=True, redirect_stdout=False, redirect_stderr=False
        )
        both = stdout.isatty() and stderr.isatty()
        width = None if stdout.isatty() else _WIDTH
        self._console = self.progress.console if both else Console(file=stdout, width=width)
        self._task = self.progress.add_task("", total=rows)
        self._benchmark = self._measurement = ""

    def show(self, what: RenderableType = "") -> None:
        """A line, or a table."""
        self._console.print(what, markup=False, highlight=False, soft_wrap=isinstance(what, str))

    def begin(self, benchmark: str, measurement: str) -> None:
        """Say that this is being measured now."""
        self._benchmark, self._measurement = benchmark, measurement
        self.describe()

    def describe(self, detail: str = "") -> None:
        """Say what exactly is being done for it."""
        parts = filter(None, (self._benchmark, self._measurement, detail))
        self.progress.update(self._task, description=" · ".join(parts))

    def advance(self, rows: int) -> None:
        """So many more are finished, or left out."""
        self.progress.advance(self._task, rows)


_running: list[Screen] = []


@contextmanager
def running(rows: int, log: Path) -> Iterator[Screen]:
    """A screen for so many rows, and ``log`` for what anything else prints."""
    with _printed_to(log) as (stdout, stderr):
        screen = Screen(stdout, stderr, rows)
        _running.append(screen)
        with screen.progress:
            try:
                yield screen
            finally:
                _running.remove(screen)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show that this is being done meanwhile."""
    with nullcontext() if _running else Console(stderr=True).status(what):
        for screen in _running:
            screen.describe(what)
        yield
        for screen in _running:
            screen.describe()


@contextmanager
def _printed_to(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """What this process and those that it starts write to stdout and stderr goes into ``log``; yields the real two."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with ExitStack() as stack:
        file = stack.enter_context(log.open("w", buffering=1))
        stdout, stderr = (stack.enter_context(_moved(number, file)) for number in (1, 2))
        with redirect_stdout(file), redirect_stderr(file):
            yield stdout, stderr


@contextmanager
def _moved(number: int, file: TextIO) -> Iterator[TextIO]:
    """What is written to this descriptor goes into the file; yields where it went before."""
    with os.fdopen(os.dup(number), "w", buffering=1) as before:
        os.dup2(file.fileno(), number)
        try:
            yield before
        finally:
            os.dup2(before.fileno(), number)
