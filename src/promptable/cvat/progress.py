"""How far a command is: frames or jobs per second, time left, and a few counts."""

import sys
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from promptable.cvat.escaping import for_a_terminal


class _Bars(Bars):
    """Bars, and below them what is waited for."""

    waited_for = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.waited_for:
            yield Text(self.waited_for, "yellow")


class Progress:
    """Bars on standard error; quiet where that is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = _Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Progress":
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, traceback)

    def begin(self, what: str, total: int, *, done: int = 0, unit: str = "frames") -> "Bar":
        """A bar of so many frames, or of another ``unit``, some of which were done before."""
        return Bar(self._bars, self._bars.add_task(what, total=total, completed=done, pace="", counts=""), unit)

    def waits_for(self, sentence: str) -> None:
        """Say what is waited for, until there is an empty sentence; without bars in a line, and only the first."""
        if self._bars.disable and sentence and not self._bars.waited_for:
            sys.stderr.write(for_a_terminal(f"{sentence}\n"))
        self._bars.waited_for = for_a_terminal(sentence)
        self._bars.refresh()


class Bar:
    """One of the bars."""

    def __init__(self, bars: Bars, number: TaskID, unit: str) -> None:
        self._bars = bars
        self._number = number
        self._unit = unit

    def advance(self, done: int = 1, **counts: int) -> None:
        """So many frames more, or what the bar is of, and what there is by now: ``failed=3``, ``objects=1``."""
        speed = self._bars.tasks[self._number].speed
        pace = "" if speed is None else f"{speed:.1f} {self._unit}/s"
        shown = ", ".join(f"{count} {name.removesuffix('s') if count == 1 else name}" for name, count in counts.items())
        self._bars.update(self._number, advance=done, pace=pace, counts=shown)
