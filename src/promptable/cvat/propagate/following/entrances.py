"""Following objects that joined on a pass back to where they came into view."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from promptable.cvat.functions import Picture
from promptable.cvat.geometry.position import Placed, Position
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.following.passes import Pass
from promptable.cvat.propagate.following.pictures import number_of, pictures_of
from promptable.cvat.propagate.journal import Step
from promptable.cvat.server.frames import Frames
from promptable.cvat.tracking import UNSURE, Prompt, Tracker


class Entrances:
    """Follows the objects that joined on a pass, all together, on the frames of the pass in reverse order.

    An object ends on the frame on which the tracker loses it, or is unsure of it (``UNSURE``): there it came into view.
    It also ends where another object of its label is at its place, so that no frame has it twice.
    """

    def __init__(self, tracker: Tracker, frames: Frames, back: Pass) -> None:
        """``back`` is the way back of the pass, which must have ended."""
        self._tracker = tracker
        self._frames = frames
        self._back = back
        self._objects = back.objects()

    def follow(self, progress: Progress) -> None:
        """Follow the objects on the frames that are left, and show progress. Raises CvatError."""
        if self._objects:
            self._back.resume(partial(self._go_on, progress))

    def _go_on(self, progress: Progress, last: Step | None) -> None:
        bar = progress.begin("where they came in", len(self._back.frames), done=self._back.done())
        while numbers := self._left(last):
            with closing(pictures_of(self._frames, numbers, self._tracker.function)) as pictures:
                for picture in pictures:
                    last = self._next({} if last is None else last.states, picture)
                    bar.advance(followed=len(last.states))
                    if not last.states:
                        break

    def _left(self, last: Step | None) -> Sequence[int]:
        """The frames that are left. If no object is followed now, they begin with the next one on which one joined."""
        left = self._back.frames[self._back.done() :]
        if last is not None and last.states:
            return left
        joined = {one.frame for one in self._objects.values()}
        return next((left[i:] for i, frame in enumerate(left) if frame in joined), ())

    def _next(self, states: Mapping[int, Any], picture: Picture) -> Step:
        number = number_of(picture)
        followed = list(self._followed(states, picture))
        going = {one: state for one, _, state in followed} | self._joined(picture)
        step = Step(number, {one: position for one, position, _ in followed}, going)
        self._back.record(step)
        return step

    def _followed(self, states: Mapping[int, Any], picture: Picture) -> Iterator[tuple[int, Position, Any]]:
        """(number, position, state) of the objects that do not end on this picture. Raises CvatError."""
        if not states:
            return
        number = number_of(picture)
        positions, after = self._tracker.follow(picture, list(states.values()), self._frames.frame(number).hw)
        there = self._back.seen(number)
        for one, position, state in zip(states, positions, after, strict=True):
            label = self._objects[one].label_id
            if position is None or position.score < UNSURE:
                continue
            if not any(other.is_double(label, position) for other in there):
                there.append(Placed(label, position))
                yield one, position, state

    def _joined(self, picture: Picture) -> dict[int, Any]:
        """The states, by number, of the objects that joined on this picture. Raises CvatError."""
        number = number_of(picture)
        news = [one for one in self._objects.values() if one.frame == number]
        if not news:
            return {}
        prompts = [Prompt(one.start.upright, one.form) for one in news]
        _, states = self._tracker.start(picture, prompts, self._frames.frame(number).hw)
        return {one.number: state for one, state in zip(news, states, strict=True) if state is not None}
