"""Jobs in people's hands: whether they have handed them in, and what is taken back of a run that wrote into them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import text_of

OPEN = ("new", "in progress")
"""States of jobs that people have not handed in."""


@dataclass(frozen=True)
class TakenBack:
    """How much of what a run wrote is ``gone``, and how much is ``left`` since people have changed it.

    ``closed`` are jobs that people have handed in: nothing was taken back there. Of what the run had deleted, ``back``
    is there again; ``lost`` says how much of it is not by why, a part of a sentence.
    """

    gone: int
    left: int
    closed: Sequence[int]
    back: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)


def open_and_handed_in(client: Any, jobs: Iterable[int], *, completed: bool) -> tuple[list[int], list[int]]:
    """Those of ``jobs`` that a command may change, and those that are left since people have handed them in.

    With ``completed`` none is left. A job that is gone is in neither. ``client`` is cvat-sdk's. Raises CvatError.
    """
    states = {job: state for job in jobs if (state := _state(client, job)) is not None}
    closed = [] if completed else [job for job, state in states.items() if state not in OPEN]
    return [job for job in states if job not in closed], closed


def _state(client: Any, job: int) -> str | None:
    try:
        return text_of(client.jobs.retrieve(job).state)
    except CvatError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None
