"""One direction of a run in the journal: what was followed, and who joined on the way."""

from collections.abc import Sequence

from promptable.cvat.geometry.position import Position
from promptable.cvat.propagate.journal import Step, TrackJournal
from promptable.cvat.propagate.objects import Object


class Pass:
    """``way`` are the frames in the order of following, ``direction`` is 1 or -1."""

    def __init__(self, journal: TrackJournal, run: int, direction: int, way: Sequence[int]) -> None:
        self.direction = direction
        self.way = way
        self._journal = journal
        self._run = run

    def objects(self) -> dict[int, Object]:
        """By number, those of the first frame and those that joined in this direction."""
        objects = self._journal.objects(self._run)
        return {one.number: one for one in objects if one.joined in (0, self.direction)}

    def free_number(self) -> int:
        """For the next object that joins."""
        return max((one.number for one in self._journal.objects(self._run)), default=-1) + 1

    def done(self) -> int:
        """How many frames are followed."""
        last = self.last()
        return 0 if last is None else self.way.index(last.frame) + 1

    def last(self) -> Step | None:
        """Where to go on, without what was found there; None at the beginning."""
        return self._journal.last_step(self._run, self.direction)

    def note(self, step: Step, joined: Sequence[Object] = ()) -> None:
        """A frame, and the objects that joined on it, which are followed now."""
        self._journal.step(self._run, self.direction, step, joined)

    def last_seen(self, one: Object) -> Position:
        """Where an object was found last."""
        return self._journal.last_seen(self._run, self.direction, one.number) or one.start

    def forget(self) -> None:
        """Begin again: nothing is followed, and nobody has joined."""
        self._journal.forget_steps(self._run, self.direction)
