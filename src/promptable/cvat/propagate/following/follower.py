"""Following the objects of a pass from frame to frame, with one request a frame for all of them."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from promptable.cvat.functions import Picture
from promptable.cvat.geometry.position import Placed, Position
from promptable.cvat.progress import Progress
from promptable.cvat.propagate.following.newcomers import Known, Newcomers
from promptable.cvat.propagate.following.passes import Pass
from promptable.cvat.propagate.following.pictures import number_of, pictures_of
from promptable.cvat.propagate.journal import Step
from promptable.cvat.propagate.objects import Object
from promptable.cvat.server.frames import Frames
from promptable.cvat.tracking import Prompt, Tracker


class Follower:
    """Follows the objects of a run on one pass, and writes each step into the journal."""

    def __init__(
        self,
        tracker: Tracker,
        frames: Frames,
        followed_pass: Pass,
        *,
        restart: bool = False,
        newcomers: Newcomers | None = None,
        every: int = 1,
    ) -> None:
        """``restart`` goes on from where people have an object; otherwise the object ends there.

        ``newcomers`` looks for new objects on each ``every``-th frame of the pass; those of the first frame are objects
        of the run already.
        """
        self._tracker = tracker
        self._frames = frames
        self._pass = followed_pass
        self._restart = restart
        self._newcomers = newcomers
        self._every = every
        self._objects: dict[int, Object] = {}

    def follow(self, progress: Progress) -> None:
        """Follow the objects on the frames that are left, and show progress. Raises CvatError."""
        self._pass.resume(partial(self._go_on, progress))

    def _go_on(self, progress: Progress, last: Step | None) -> None:
        self._objects = self._pass.objects()
        what = "following" if self._pass.direction > 0 else "following backward"
        bar = progress.begin(what, len(self._pass.frames), done=self._pass.done())
        while numbers := self._left(last):
            with closing(pictures_of(self._frames, numbers, self._tracker.function)) as pictures:
                for picture in pictures:
                    last = self._first(picture) if last is None else self._next(last, picture)
                    lost = sum(position is None for position in last.found.values())
                    bar.advance(followed=len(last.states) - lost, lost=lost)
                    if not last.states:
                        break

    def _left(self, last: Step | None) -> Sequence[int]:
        """The frames that are left. If no object is followed now, they begin where new ones are looked for next."""
        done = self._pass.done()
        if last is None or last.states:
            return self._pass.frames[done:]
        return () if self._newcomers is None else self._pass.frames[-(-done // self._every) * self._every :]

    def _first(self, picture: Picture) -> Step:
        starts = {number: one.start for number, one in self._objects.items()}
        step = self._started(Step(number_of(picture), {}, {}), picture, starts)
        self._pass.record(step)
        return step

    def _next(self, last: Step, picture: Picture) -> Step:
        """Follow the objects to the next picture, and look for new ones on it."""
        step = self._followed(last, picture)
        joined: Sequence[Object] = ()
        if self._newcomers is not None and self._pass.frames.index(step.frame) % self._every == 0:
            news = self._newcomers.look(picture, self._known(step), self._pass.free_number(), self._pass.direction)
            joined = news.joined
            self._objects |= {one.number: one for one in joined}
            step = self._started(step, picture, {one.number: one.start for one in joined} | dict(news.back))
        self._pass.record(step, joined)
        return step

    def _followed(self, last: Step, picture: Picture) -> Step:
        """The step of the next picture, without new objects. Where people have an object, it ends or starts anew."""
        number = number_of(picture)
        objects = {one: self._objects[one] for one in last.states}
        by_people = {one: known.by_people[number] for one, known in objects.items() if number in known.by_people}
        going = {one: state for one, state in last.states.items() if one not in by_people and state is not None}
        positions, states = (
            self._tracker.follow(picture, list(going.values()), self._frames.frame(number).hw) if going else ([], [])
        )
        after = {one: state for one, state in last.states.items() if state is None and one not in by_people}
        after |= dict(zip(going, states, strict=True))
        if self._restart:
            after |= self._restarted(picture, by_people)
        return Step(number, dict(zip(going, positions, strict=True)), after)

    def _restarted(self, picture: Picture, by_people: Mapping[int, Position | None]) -> dict[int, Any]:
        """The states of objects that start anew where people have them on this picture (``by_people``), by number.

        The state is None if they are outside now, and people have them again on a later frame.
        """
        seen = {one: position for one, position in by_people.items() if position is not None}
        states = self._started(Step(number_of(picture), {}, {}), picture, seen).states
        gone = [one for one in by_people if one not in seen and self._comes_back(one, number_of(picture))]
        return {**states, **dict.fromkeys(gone)}

    def _comes_back(self, one: int, number: int) -> bool:
        """Whether people have an object again on a frame that comes after ``number`` in this direction."""
        later = [frame for frame, seen in self._objects[one].by_people.items() if seen is not None]
        return any((frame - number) * self._pass.direction > 0 for frame in later)

    def _started(self, step: Step, picture: Picture, starts: Mapping[int, Position]) -> Step:
        """The step with objects that start on its picture; ``starts`` is where, by number. Raises CvatError."""
        if not starts:
            return step
        prompts = [Prompt(position.upright, self._objects[one].form) for one, position in starts.items()]
        positions, states = self._tracker.start(picture, prompts, self._frames.frame(step.frame).hw)
        found = dict(zip(starts, positions, strict=True))
        return Step(step.frame, {**step.found, **found}, {**step.states, **dict(zip(starts, states, strict=True))})

    def _known(self, step: Step) -> Known:
        """The objects that are followed on the frame of a step, and where those that are lost were last."""
        objects = {number: self._objects[number] for number in step.states}
        seen = [
            Placed(one.label_id, position)
            for number, one in objects.items()
            if (position := one.by_people.get(step.frame, step.found.get(number))) is not None
        ]
        lost = {
            number: Placed(objects[number].label_id, self._pass.last_seen(objects[number]))
            for number, position in step.found.items()
            if position is None
        }
        return Known(list(objects.values()), seen, lost)
