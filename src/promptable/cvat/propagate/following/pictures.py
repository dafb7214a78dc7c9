"""The pictures of a pass, in order, fetched while the tracker works on earlier ones."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from promptable.cvat.functions import Function, Picture
from promptable.cvat.server.frames import Frames

_AHEAD = 8
"""Pictures that are fetched, or waiting to be, while the tracker works."""
_FETCHERS = 4


def picture_of(frames: Frames, number: int) -> Picture:
    """The picture of a frame; its bytes are fetched when a function needs them."""
    return Picture(frames.frame(number).name, partial(frames.data, number), number)


def number_of(picture: Picture) -> int:
    """The number of a picture's frame. Raises ValueError for a picture that is not of CVAT."""
    if picture.frame is None:
        raise ValueError(f"{picture.name} is no frame of CVAT")
    return picture.frame


def pictures_of(frames: Frames, numbers: Sequence[int], function: Function) -> Generator[Picture, None, None]:
    """The pictures of these frames, in order; fetched ahead if ``function`` is sent them.

    A function that is called through CVAT is not: CVAT sends it the picture.
    """
    if function.takes_labels:
        yield from fetched_ahead(frames, numbers)
    else:
        yield from (Picture(frames.frame(number).name, bytes, number) for number in numbers)


def fetched_ahead(frames: Frames, numbers: Sequence[int]) -> Generator[Picture, None, None]:
    """The pictures of these frames, in order, some of them fetched ahead. Raises CvatError where one is read."""
    with ThreadPoolExecutor(_FETCHERS) as pool:
        waiting: deque[tuple[int, Future[bytes]]] = deque()
        try:
            for number in numbers:
                waiting.append((number, pool.submit(frames.data, number)))
                if len(waiting) > _AHEAD:
                    yield _fetched(frames, *waiting.popleft())
            while waiting:
                yield _fetched(frames, *waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _fetched(frames: Frames, number: int, data: "Future[bytes]") -> Picture:
    return Picture(frames.frame(number).name, data.result, number)
