"""The tracker's two requests: objects start on a frame, and all of them go on to the next one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from promptable.cvat.detection import RECTANGLE
from promptable.cvat.functions import BLANK_HW, Function, Picture, blank
from promptable.cvat.geometry.position import Position, read_answer
from promptable.cvat.server.errors import CvatError
from promptable.wire.most_objects import most_objects

UNSURE = 0.6
"""Below this score of the tracker: on the toy clips nine of ten such masks overlap their object by less than half."""

Answers = tuple[list[Position | None], list[Any]]
"""Of each object: where it is, None where lost, and its state, which is passed on unseen."""


class Prompt(NamedTuple):
    """What an object starts from, and the ``form`` in which it is answered: rectangle, polygon or mask."""

    position: Position
    form: str

    def as_shape(self) -> dict[str, Any]:
        """As ``wire.tracker`` reads it."""
        shape = {"type": self.position.form, "points": list(self.position.points)}
        return shape if self.form == self.position.form else {**shape, "as": self.form}


class Tracker:
    """A tracker, wherever it runs."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def check(self) -> None:
        """Start an object on a blank picture; through CVAT its list has told the kind. Raises CvatError."""
        if self.function.takes_labels:
            somewhere = Prompt(Position(RECTANGLE, (16.0, 16.0, 48.0, 48.0)), RECTANGLE)
            self.start(blank("asked whether it tracks"), [somewhere], BLANK_HW)

    def start(self, picture: Picture, prompts: Sequence[Prompt], hw: tuple[int, int]) -> Answers:
        """Objects on the picture on which they are shown, of CVAT's size ``hw``. Raises CvatError."""
        positions, states = self._ask(picture, "shapes", [prompt.as_shape() for prompt in prompts], hw)
        for prompt, position in zip(prompts, positions, strict=True):
            if position is not None and position.form != prompt.form:
                raise CvatError(
                    f"{self.function!r} answers a {position.form} where a {prompt.form} is wanted: deploy sam2-tracker "
                    "anew, it is older than this command"
                )
        return positions, states

    def follow(self, picture: Picture, states: Sequence[Any], hw: tuple[int, int]) -> Answers:
        """The objects of ``states`` on the next picture. Raises CvatError."""
        return self._ask(picture, "states", states, hw)

    def _ask(self, picture: Picture, key: str, values: Sequence[Any], hw: tuple[int, int]) -> Answers:
        positions: list[Position | None] = []
        states: list[Any] = []
        at_once = most_objects(hw)
        for first in range(0, len(values), at_once):
            part = list(values[first : first + at_once])
            shapes, some = self._call(picture, {key: part}, len(part))
            positions += [_read(picture, shape, hw) for shape in shapes]
            states += some
        return positions, states

    def _call(self, picture: Picture, fields: Mapping[str, object], count: int) -> tuple[list[Any], list[Any]]:
        answer = self.function.call(picture, fields)
        parts = [answer.get(key) if isinstance(answer, dict) else None for key in ("shapes", "states")]
        shapes, states = (part if isinstance(part, list) and len(part) == count else None for part in parts)
        if shapes is None or states is None:
            raise CvatError(f"{self.function!r} did not answer as a tracker: is it sam2-tracker?")
        return shapes, states


def _read(picture: Picture, shape: Mapping[str, Any] | None, hw: tuple[int, int]) -> Position | None:
    try:
        return read_answer(shape, hw)
    except (KeyError, TypeError, ValueError) as error:
        raise CvatError(f"{picture.name}: the tracker answered {error}") from None
