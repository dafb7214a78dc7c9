"""The tracker's two requests: objects start on a frame, and all of them go on to the next one."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptable.cvat.functions import Function, Picture
from promptable.cvat.geometry.position import Position, read_answer
from promptable.cvat.server.errors import CvatError

MOST_OBJECTS = 256
"""In one request."""


class Tracker:
    """A tracker, wherever it runs. A state is what it answered, passed on unseen."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def start(self, picture: Picture, objects: Sequence[Position]) -> list[Any]:
        """The states of objects on this picture. Raises CvatError."""
        states: list[Any] = []
        for first in range(0, len(objects), MOST_OBJECTS):
            part = objects[first : first + MOST_OBJECTS]
            shapes = [{"type": one.form, "points": list(one.points)} for one in part]
            _, some = self._call(picture, {"shapes": shapes}, len(part))
            states += some
        return states

    def follow(
        self, picture: Picture, states: Sequence[Any], hw: tuple[int, int]
    ) -> tuple[list[Position | None], list[Any]]:
        """Where the objects of ``states`` are on this picture, None where lost; their new states. Raises CvatError."""
        positions: list[Position | None] = []
        new: list[Any] = []
        for first in range(0, len(states), MOST_OBJECTS):
            part = states[first : first + MOST_OBJECTS]
            shapes, some = self._call(picture, {"states": list(part)}, len(part))
            positions += [_read(picture, shape, hw) for shape in shapes]
            new += some
        return positions, new

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
