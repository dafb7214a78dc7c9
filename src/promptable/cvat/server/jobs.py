"""The state of jobs: which of them a command may change, and what taking a run back did to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import text_of

OPEN = ("new", "in progress")
"""The states of a job that its annotator has not handed in."""


@dataclass(frozen=True)
class TakenBack:
    """What taking a run back did: how many of its annotations are ``gone``, how many ``left`` as people changed them.

    Nothing was taken back in ``closed``, the jobs that were handed in. Of the annotations that the run had deleted,
    ``back`` are in CVAT again; ``lost`` counts the others by reason, each a part of a sentence.
    """

    gone: int
    left: int
    closed: Sequence[int]
    back: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)


def open_and_handed_in(client: Any, jobs: Iterable[int], *, completed: bool) -> tuple[list[int], list[int]]:
    """``jobs`` split into those that a command may change and those that were handed in.

    With ``completed``, a command may change both. Deleted jobs are in neither list. ``client`` is cvat-sdk's. Raises
    CvatError.
    """
    states = {job: state for job in jobs if (state := _state(client, job)) is not None}
    closed = [] if completed else [job for job, state in states.items() if state not in OPEN]
    return [job for job in states if job not in closed], closed


def _state(client: Any, job: int) -> str | None:
    """CVAT's word for the state of a job; None if the job was deleted. Raises CvatError."""
    try:
        return text_of(client.jobs.retrieve(job).state)
    except CvatError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None
