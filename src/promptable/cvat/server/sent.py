"""What was sent beside what the server holds: whether somebody has changed it, and what of it is there twice.

What was given up and sent again may be stored all the same, later than anybody looks.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError

SETTLING = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between looks at the server for a request without an answer, which may still arrive: a minute in all."""
_LATEST = timedelta(hours=1)
"""No server is at a request for so long."""
CVATS_OWN = ("id", "attributes", "points", "shapes")
"""A keyframe's id is a new one at each write; the others are compared each in its own way."""


class _Request(Protocol):
    @property
    def job(self) -> int: ...


Request = TypeVar("Request", bound=_Request)
Tell = Callable[[str], object]
"""Says what a command waits for; an empty text: for nothing any more."""
Annotations = Mapping[str, Sequence[Mapping[str, Any]]]
"""``shapes``, ``tags``, ``tracks``: what a job holds, or some of it."""


def looks(job: int, tell: Tell) -> Iterator[None]:
    """Now, and after each pause, it is time to look whether a request was stored; ``tell`` says what is waited for."""
    try:
        yield
        for i, pause in enumerate(SETTLING):
            again = f"looking again in {pause:g} s, giving it up in {sum(SETTLING[i:]):g} s"
            tell(f"CVAT gave no answer to a write into job {job}, and it is not there yet: {again}")
            time.sleep(pause)
            yield
    finally:
        tell("")


def delete_late(
    client: Any, sent_again: Iterable[tuple[Request, datetime]], late: Callable[[Request, Annotations], Annotations]
) -> list[Request]:
    """Delete what came late of requests that were sent again; returns those of which nothing can arrive any more.

    ``client`` is cvat-sdk's; ``late`` picks from what a request's job holds. Raises CvatError.
    """
    done = []
    for request, sent in sent_again:
        annotations = JobAnnotations(client, request.job)
        gone = late(request, _read(annotations))
        annotations.delete(**gone)
        if count := sum(map(len, gone.values())):
            sys.stderr.write(f"job {request.job}: annotations that CVAT stored late, deleted again: {count}\n")
        if arrives_no_more(sent):
            done.append(request)
    return done


def arrives_no_more(sent: datetime) -> bool:
    """Whether a request of that time is surely done or lost."""
    return datetime.now(UTC) - sent > _LATEST


def _read(annotations: JobAnnotations) -> Annotations:
    try:
        return annotations.read()
    except CvatError as error:
        if error.status != 404:
            raise
    return {"shapes": [], "tags": [], "tracks": []}  # the job is gone, and all with it


def is_as_sent(sent: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[int, str]) -> bool:
    """Whether nobody moved, relabelled or edited it: every field as sent, attributes that came later at default.

    Of a shape, a tag, a track without its keyframes, or a keyframe. ``defaults`` are values by spec.
    """
    if any(now.get(field) != sent[field] for field in sent if field not in CVATS_OWN):
        return False
    if "points" in sent and rounded(now["points"]) != rounded(sent["points"]):
        return False
    expected = {**defaults, **values(sent)}
    return all(expected.get(spec) == value for spec, value in values(now).items())


def rounded(points: Iterable[float]) -> tuple[float, ...]:
    """In hundredths of a pixel, as they are sent."""
    return tuple(round(float(number), 2) for number in points)


def values(one: Mapping[str, Any]) -> dict[int, str]:
    """The attributes of a shape, tag, track or keyframe, by spec."""
    return {given["spec_id"]: str(given["value"]) for given in one["attributes"]}


def defaults_of(specs: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The values where nobody says others of the attributes of a label, as CVAT lists them, by spec."""
    return {spec["id"]: str(spec["default_value"]) for spec in specs}
