"""How far a run is: frames per second, time left, objects that are followed and lost."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from promptable.cvat.propagate.journal import Step


class Progress:
    """A bar on standard error; quiet where that is no terminal."""

    def __init__(self, frames: int) -> None:
        """``frames`` are all that are to be looked at."""
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("following"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[followed]} followed, {task.fields[lost]} lost"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("following", total=frames, followed=0, lost=0, speed="")
        self._done: dict[int, int] = {}

    def __enter__(self) -> "Progress":
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, traceback)

    def done(self, direction: int, frames: int) -> None:
        """So many frames in this direction were done before."""
        self._done[direction] = frames
        self._bar.update(self._task, completed=sum(self._done.values()))

    def advance(self, direction: int, step: Step) -> None:
        """One frame more."""
        self.done(direction, self._done[direction] + 1)
        speed = self._bar.tasks[0].speed
        lost = sum(position is None for position in step.found.values())
        self._bar.update(
            self._task,
            followed=len(step.states) - lost,
            lost=lost,
            speed="" if speed is None else f"{speed:.1f} frames/s",
        )
