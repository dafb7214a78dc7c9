"""How far a run is: frames per second, time left, failures, objects."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A bar on standard error; quiet where that is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[objects]} objects, {task.fields[failed]} failed"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("frames", total=None, start=False, objects=0, failed=0, speed="")
        self._failed = 0

    def __enter__(self) -> "Progress":
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, traceback)

    def begin(self, frames: int) -> None:
        """So many frames are to be asked about."""
        self._bar.update(self._task, total=frames)
        self._bar.start_task(self._task)

    def advance(self, *, failed: bool) -> None:
        self._failed += failed
        speed = self._bar.tasks[0].speed
        shown = "" if speed is None else f"{speed:.1f}/s"
        self._bar.update(self._task, advance=1, failed=self._failed, speed=shown)

    def uploaded(self, objects: int) -> None:
        self._bar.update(self._task, objects=objects)
