"""One pass of a run, as the journal has it: its steps, and the objects that are followed on it."""

from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus

from promptable.cvat.geometry.position import Placed, Position
from promptable.cvat.propagate.journal import Step, TrackJournal
from promptable.cvat.propagate.objects import BACK, Object
from promptable.cvat.server.errors import CvatError


class Pass:
    """A pass through ``frames``, which are in the order of following; ``direction`` is its direction in the journal.

    ``joined`` are the values of ``Object.joined`` of the objects that are followed on it. By default, these are the
    objects of the run's first frame and those that join on this pass.
    """

    def __init__(
        self,
        journal: TrackJournal,
        run: int,
        direction: int,
        frames: Sequence[int],
        joined: Collection[int] | None = None,
    ) -> None:
        self.direction = direction
        self.frames = frames
        self._journal = journal
        self._run = run
        self._joined = (0, direction) if joined is None else joined

    def back(self) -> "Pass":
        """The pass on which the objects that joined on this one are followed back."""
        return Pass(self._journal, self._run, BACK * self.direction, self.frames[::-1], (self.direction,))

    def objects(self) -> dict[int, Object]:
        """The objects that are followed on this pass, by number."""
        return {one.number: one for one in self._journal.objects(self._run) if one.joined in self._joined}

    def seen(self, frame: int) -> list[Placed]:
        """Where the objects of the run, of all passes, are on a frame: where people have them, else as found."""
        found = self._journal.found_on(self._run, frame)
        placed = [(one, one.by_people.get(frame, found.get(one.number))) for one in self._journal.objects(self._run)]
        return [Placed(one.label_id, position) for one, position in placed if position is not None]

    def resume(self, follow: Callable[[Step | None], None]) -> None:
        """Call ``follow`` with the last step, or None if there is none. Raises CvatError.

        If the tracker has forgotten its states since an interruption, the pass begins again from its first frame, once.
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
        """Whether an error means that the tracker has forgotten its states.

        It answers 410 then. Or the first request after ``stopped``, the step at the interruption, is refused with 400:
        by the tracker, or by CVAT, which signs states and refuses old signatures.
        """
        if error.status != HTTPStatus.BAD_REQUEST:
            return error.status == HTTPStatus.GONE
        after = self.last()
        return stopped is not None and after is not None and after.frame == stopped.frame

    def free_number(self) -> int:
        """The number for the next object that joins."""
        return max((one.number for one in self._journal.objects(self._run)), default=-1) + 1

    def done(self) -> int:
        """How many frames of the pass have been followed."""
        last = self.last()
        return 0 if last is None else self.frames.index(last.frame) + 1

    def last(self) -> Step | None:
        """The last step, with its states but not what was found; None if there is none."""
        return self._journal.last_step(self._run, self.direction)

    def record(self, step: Step, joined: Sequence[Object] = ()) -> None:
        """Write a step into the journal, with the objects that joined on its frame."""
        self._journal.step(self._run, self.direction, step, joined)

    def last_seen(self, one: Object) -> Position:
        """Where an object was found last on this pass; if it never was, where it starts."""
        return self._journal.last_seen(self._run, self.direction, one.number) or one.start

    def forget(self) -> None:
        """Delete the steps of the pass, and the objects that joined on it, from the journal."""
        self._journal.forget_steps(self._run, self.direction)
