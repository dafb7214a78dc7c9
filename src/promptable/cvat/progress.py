"""How far a command is: frames per second, time left, and a few counts."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Progress:
    """Bars on standard error; quiet where that is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = Bars(
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

    def begin(self, what: str, frames: int, *, done: int = 0) -> "Bar":
        """A bar of so many frames, some of which were done before."""
        return Bar(self._bars, self._bars.add_task(what, total=frames, completed=done, pace="", counts=""))


class Bar:
    """One of the bars."""

    def __init__(self, bars: Bars, number: TaskID) -> None:
        self._bars = bars
        self._number = number

    def advance(self, frames: int = 1, **counts: int) -> None:
        """So many frames more, and what there is by now, such as ``failed=3``."""
        speed = self._bars.tasks[self._number].speed
        pace = "" if speed is None else f"{speed:.1f} frames/s"
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        self._bars.update(self._number, advance=frames, pace=pace, counts=shown)
