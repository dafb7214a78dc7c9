"""What the admin reads: steps, commands, warnings, and problems with their remedies."""

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text

from promptable.deploy.options import Problem

_SPINNER = 4
_FILE_WIDTH = 200
"""Characters of a table's line where nobody's terminal says it."""


class StoppedError(RuntimeError):
    """The run ends here; what is wrong has been said."""


class Console:
    """Output of one run. Results go to standard output, warnings and problems to standard error.

    ``dry_run``: problems do not stop the run, and commands are shown only.
    """

    def __init__(self, dry_run: bool) -> None:
        self.dry_run = dry_run
        self._problems = 0
        width = None if sys.stdout.isatty() else _FILE_WIDTH
        self._out = RichConsole(width=width, soft_wrap=True, highlight=False, markup=False, emoji=False)
        self._err = RichConsole(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)

    def step(self, title: str) -> None:
        self._out.print(f"\n== {title}", style="bold")

    def say(self, text: str) -> None:
        self._out.print(f"   {text}")

    def text(self, text: str) -> None:
        """Print it as it is."""
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()

    def quote(self, text: str) -> None:
        """Print another program's words."""
        for line in text.splitlines():
            self._out.print(f"     | {line}", style="dim")

    def warn(self, text: str) -> None:
        self._err.print(f"   warning: {text}", style="yellow")

    def problem(self, what: str, remedy: str) -> None:
        """Something is wrong: ``stop_on_problems`` ends the run once all checks are through."""
        self._err.print(f"   PROBLEM: {what}", style="bold red")
        self._err.print(f"   remedy:  {remedy}")
        self._problems += 1

    def problems(self, found: Iterable[Problem]) -> None:
        for each in found:
            self.problem(each.what, each.remedy)

    def stop_on_problems(self) -> None:
        """Raises StoppedError if there are any; a dry run goes on."""
        count, self._problems = self._problems, 0
        problems = "1 problem" if count == 1 else f"{count} problems"
        if count and self.dry_run:
            self.say(f"{problems}: without --dry-run nothing below would happen")
        elif count:
            self.problem(f"{problems} found, nothing was changed", "see above, then run the same command again")
            raise StoppedError

    def command(self, command: Sequence[str]) -> None:
        """Show a command so that it can be copied."""
        self._out.print(f"   + {shlex.join(command)}", style="cyan")

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[str], None]]:
        """A line that moves while something takes long; call what it yields with each line of news."""
        start = time.monotonic()
        with self._out.status(Text(title)) as status:

            def tell(line: str) -> None:
                seconds = int(time.monotonic() - start)
                news = Text(f"{title} ({seconds} s) {line.strip()}", no_wrap=True, overflow="ellipsis")
                news.truncate(self._out.width - _SPINNER)
                status.update(news)

            yield tell

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.step(title)
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*row)
        self._out.print(table, soft_wrap=True, crop=False)
