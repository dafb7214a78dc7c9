"""Objects followed from frame to frame, one request a frame for all of them; kept in the journal as it goes."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from promptable.cvat.functions import Picture
from promptable.cvat.geometry.position import MASK, Position
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.journal import Step, TrackJournal
from promptable.cvat.propagate.objects import Object
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames
from promptable.cvat.tracking import Tracker

_AHEAD = 8
"""Pictures that are fetched while the tracker works."""
_FETCHERS = 2


class Follower:
    """Follows objects in one direction."""

    def __init__(self, tracker: Tracker, frames: Frames, objects: Sequence[Object], *, restart: bool) -> None:
        """``restart`` goes on from where people have an object; else it ends there."""
        self._tracker = tracker
        self._frames = frames
        self._objects = {one.number: one for one in objects}
        self._restart = restart

    def follow(self, journal: TrackJournal, run: int, direction: int, way: Sequence[int], progress: Progress) -> None:
        """Follow the objects along the frames of ``way``, as far as they are not followed yet. Raises CvatError."""
        stopped = journal.last_step(run, direction)
        try:
            self._go_on(stopped, journal, run, direction, way, progress)
        except CvatError as error:
            after = journal.last_step(run, direction)
            if error.status != 400 or stopped is None or after is None or after.frame != stopped.frame:
                raise
            journal.forget_steps(run, direction)  # the tracker has, too: the same again from the first frame
            self._go_on(None, journal, run, direction, way, progress)

    def _go_on(
        self,
        last: Step | None,
        journal: TrackJournal,
        run: int,
        direction: int,
        way: Sequence[int],
        progress: Progress,
    ) -> None:
        done = 0 if last is None else way.index(last.frame) + 1
        bar = progress.begin("following" if direction > 0 else "following backward", len(way), done=done)
        with closing(self._pictures(way[done:] if last is None or last.states else ())) as pictures:
            for picture in pictures:
                last = self._start(picture) if last is None else self._step(last, picture, direction)
                journal.step(run, direction, last)
                lost = sum(position is None for position in last.found.values())
                bar.advance(followed=len(last.states) - lost, lost=lost)
                if not last.states:
                    return

    def _start(self, picture: Picture) -> Step:
        objects = list(self._objects.values())
        states = self._tracker.start(picture, [self._prompt(one, one.start, _frame(picture)) for one in objects])
        return Step(_frame(picture), {}, {one.number: state for one, state in zip(objects, states, strict=True)})

    def _step(self, last: Step, picture: Picture, direction: int) -> Step:
        """The next frame. Where people have an object, it ends or starts anew."""
        number = _frame(picture)
        theirs = {one: self._objects[one].theirs[number] for one in last.states if number in self._objects[one].theirs}
        going = {one: state for one, state in last.states.items() if one not in theirs and state is not None}
        positions, states = (
            self._tracker.follow(picture, list(going.values()), self._frames.frame(number).hw) if going else ([], [])
        )
        found = {one: self._formed(one, position, number) for one, position in zip(going, positions, strict=True)}
        after = {one: state for one, state in last.states.items() if state is None and one not in theirs}
        after |= dict(zip(going, states, strict=True))
        if self._restart:
            after |= self._restarted(picture, theirs, direction)
        return Step(number, found, after)

    def _restarted(self, picture: Picture, theirs: dict[int, Position | None], direction: int) -> dict[int, Any]:
        """States from where people have objects now; None of those that come back on a later frame."""
        seen = {one: position for one, position in theirs.items() if position is not None}
        prompts = [self._prompt(self._objects[one], position, _frame(picture)) for one, position in seen.items()]
        states = self._tracker.start(picture, prompts) if seen else []
        gone = [one for one in theirs if one not in seen and self._comes_back(one, _frame(picture), direction)]
        return dict(zip(seen, states, strict=True)) | dict.fromkeys(gone)

    def _comes_back(self, one: int, number: int, direction: int) -> bool:
        theirs = self._objects[one].theirs
        return any(position is not None and (frame - number) * direction > 0 for frame, position in theirs.items())

    def _prompt(self, one: Object, position: Position, number: int) -> Position:
        """What the tracker starts from: a mask as soon as one is wanted; a turned rectangle as the box around it."""
        form = MASK if one.form == MASK else position.form
        prompt = position.as_form(form, self._frames.frame(number).hw)
        if prompt is None:
            raise CvatError(f"{one.copies[0].kind} {one.item['id']} lies outside the picture")
        return prompt

    def _formed(self, one: int, position: Position | None, number: int) -> Position | None:
        form = self._objects[one].form
        return None if position is None else position.as_form(form, self._frames.frame(number).hw)

    def _pictures(self, numbers: Sequence[int]) -> Generator[Picture, None, None]:
        """In order; fetched ahead where the tracker is sent them."""
        if not self._tracker.function.takes_labels:
            yield from (Picture(self._frames.frame(number).name, bytes, number) for number in numbers)
            return
        with ThreadPoolExecutor(_FETCHERS) as pool:
            waiting: deque[tuple[int, Future[bytes]]] = deque()
            try:
                for number in numbers:
                    waiting.append((number, pool.submit(self._frames.data, number)))
                    if len(waiting) > _AHEAD:
                        yield self._fetched(*waiting.popleft())
                while waiting:
                    yield self._fetched(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _fetched(self, number: int, data: "Future[bytes]") -> Picture:
        return Picture(self._frames.frame(number).name, data.result, number)


def _frame(picture: Picture) -> int:
    if picture.frame is None:
        raise ValueError(f"{picture.name} is no frame of CVAT")
    return picture.frame
