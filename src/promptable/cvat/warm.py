"""Encoding pictures before people click into them, by a click through CVAT: so the bytes are those of a later click.

The features are cached where the interactor keeps them: in its process, and in the Redis that it shares with replicas.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from promptable.cvat.functions import Function, Picture
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames

MEGABYTES = (4, 17)
"""The size of a picture's features, for SAM and for SAM 2.1."""
LIFETIME = "an hour after it is last used"
_AT_ONCE = 2
"""Requests at the same time."""


@dataclass(frozen=True)
class Warmed:
    """How many ``frames`` were encoded, and the ``errors`` of the others, by frame.

    ``first_seconds`` is how long the first click into a picture took, ``again_seconds`` a later click into it.
    """

    frames: int
    errors: dict[int, str]
    first_seconds: float
    again_seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether the later click took less than half the time, so that the picture cannot have been encoded again."""
        return self.again_seconds < self.first_seconds / 2


def warm(function: Function, frames: Frames, numbers: Sequence[int], advance: Callable[[], None]) -> Warmed:
    """Click into the middle of these frames; ``advance`` is called after each.

    Raises CvatError if the first click, or the later click into the same picture, fails.
    """
    first, first_seconds = numbers[0], _click(function, frames, numbers[0])
    advance()
    errors: dict[int, str] = {}

    def encode(number: int) -> None:
        try:
            _click(function, frames, number)
        except CvatError as error:
            errors[number] = str(error)
        advance()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(encode, numbers[1:]))
    return Warmed(len(numbers) - len(errors), errors, first_seconds, _click(function, frames, first, right_of=1.0))


def _click(function: Function, frames: Frames, number: int, right_of: float = 0.0) -> float:
    """Click into a frame, ``right_of`` its middle by so many pixels. Returns the seconds that it took.

    The interactor remembers a click, so measuring needs a second point.
    """
    frame = frames.frame(number)
    point = [frame.hw[1] / 2 + right_of, frame.hw[0] / 2]
    started = time.perf_counter()
    function.call(Picture(frame.name, bytes, number), {"pos_points": [point], "neg_points": [], "obj_bbox": []})
    return time.perf_counter() - started
