"""Requests without an answer: CVAT may store one minutes after its sender has given it up and sent it again."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from promptable.cvat.server.annotations import Annotations, JobAnnotations
from promptable.cvat.server.errors import CvatError

POLL_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between looks at the server for a request without an answer: a minute in all."""
_LATEST = timedelta(hours=1)
"""No server works on a request for longer."""


class _Request(Protocol):
    @property
    def job(self) -> int: ...


Request = TypeVar("Request", bound=_Request)
Tell = Callable[[str], object]
"""Shows what a command waits for; called with an empty text when the wait is over."""


def poll(job: int, tell: Tell) -> Iterator[None]:
    """Yields at once and after each of ``POLL_PAUSES``: when to look whether a write into the job has arrived."""
    try:
        yield
        for i, pause in enumerate(POLL_PAUSES):
            again = f"looking again in {pause:g} s, giving it up in {sum(POLL_PAUSES[i:]):g} s"
            tell(f"CVAT gave no answer to a write into job {job}, and it is not there yet: {again}")
            time.sleep(pause)
            yield
    finally:
        tell("")


def delete_late(
    client: Any, sent_again: Iterable[tuple[Request, datetime]], late: Callable[[Request, Annotations], Annotations]
) -> list[Request]:
    """Delete the second copies of requests that were sent again. Returns those of which nothing can arrive any more.

    ``client`` is cvat-sdk's. Each request comes with the time when it was last sent. ``late`` picks the second copies
    from the annotations of the request's job. Raises CvatError.
    """
    done = []
    for request, sent in sent_again:
        annotations = JobAnnotations(client, request.job)
        second_copies = late(request, _read(annotations))
        annotations.delete(**second_copies)
        if count := sum(map(len, second_copies.values())):
            sys.stderr.write(f"job {request.job}: annotations that CVAT stored late, deleted again: {count}\n")
        if arrives_no_more(sent):
            done.append(request)
    return done


def arrives_no_more(sent: datetime) -> bool:
    """Whether a request that was sent at this time (UTC) has surely been stored or lost."""
    return datetime.now(UTC) - sent > _LATEST


def _read(annotations: JobAnnotations) -> Annotations:
    """All annotations of a job; none if the job was deleted. Raises CvatError."""
    try:
        return annotations.read()
    except CvatError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    return {"shapes": [], "tags": [], "tracks": []}
