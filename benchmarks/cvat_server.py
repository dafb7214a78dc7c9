"""A stand-in for CVAT's server in a process of its own, so that what it does is not counted as ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from toy.cvat.http import serve
from toy.cvat.stand_in import StandIn


@contextmanager
def served(make: Callable[[], StandIn]) -> Iterator[str]:
    """The address of the stand-in that ``make`` makes in the other process."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs, make), daemon=True)
    server.start()
    theirs.close()  # so that a server that cannot start is an error here, and nothing to wait for
    try:
        yield ours.recv()
    finally:
        server.terminate()
        server.join()


def _serve(pipe: Any, make: Callable[[], StandIn]) -> None:
    cvat = make()
    cvat.bodies, cvat.asked = _Forgetful(), _Forgetful()
    with serve(cvat):
        pipe.send(cvat.url)
        pipe.recv()


class _Forgetful(list[Any]):
    """What the stand-in was asked would be all the pictures."""

    def append(self, _: Any) -> None:
        """Keep nothing."""
