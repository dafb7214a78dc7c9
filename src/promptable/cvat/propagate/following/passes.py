"""One direction of a run in the journal: what was followed, and who joined on the way."""

from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus

from promptable.cvat.geometry.position import Placed, Position
from promptable.cvat.propagate.journal import Step, TrackJournal
from promptable.cvat.propagate.objects import BACK, Object
from promptable.cvat.server.errors import CvatError


class Pass:
    """``way`` are the frames in the order of following, ``direction`` is the journal's.

    ``joined`` says whose it is, as objects have it: those of the first frame and who joins on the way, if not given.
    """

    def __init__(
        self,
        journal: TrackJournal,
        run: int,
        direction: int,
        way: Sequence[int],
        joined: Collection[int] | None = None,
    ) -> None:
        self.direction = direction
        self.way = way
        self._journal = journal
        self._run = run
        self._joined = (0, direction) if joined is None else joined

    def back(self) -> "Pass":
        """The way back of those who joined on this one."""
        return Pass(self._journal, self._run, BACK * self.direction, self.way[::-1], (self.direction,))

    def objects(self) -> dict[int, Object]:
        """Those that are followed here, by number."""
        return {one.number: one for one in self._journal.objects(self._run) if one.joined in self._joined}

    def seen(self, frame: int) -> list[Placed]:
        """Where any object of the run is on a frame: as people have it, or else as it was found."""
        found = self._journal.found_on(self._run, frame)
        placed = [(one, one.theirs.get(frame, found.get(one.number))) for one in self._journal.objects(self._run)]
        return [Placed(one.label_id, position) for one, position in placed if position is not None]

    def go_on(self, follow: Callable[[Step | None], None]) -> None:
        """``follow`` from where this was stopped, None from the beginning. Raises CvatError.

        Where the tracker has forgotten what was followed, it is told again from the first frame on, once.
        """
        stopped = self.last()
        try:
            follow(stopped)
        except CvatError as error:
            if not self._is_forgotten(error, stopped):
                raise
            self.forget()
            follow(None)

    def _is_forgotten(self, error: CvatError, stopped: Step | None) -> bool:
        """Whether the tracker says so, or it or CVAT, whose signature ages, refuses what a run stopped with."""
        if error.status != HTTPStatus.BAD_REQUEST:
            return error.status == HTTPStatus.GONE
        after = self.last()
        return stopped is not None and after is not None and after.frame == stopped.frame

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
