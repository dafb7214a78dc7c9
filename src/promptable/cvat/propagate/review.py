"""Where a person should look at what was followed: lost, back, jumped, shrunk or grown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cvat_sdk.core.helpers import get_paginated_collection, make_request_headers

from promptable.cvat.geometry.keyframes import box_iou
from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import Run
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.server.frames import Frames

_JUMP_IOU = 0.3
_GROWN = 1.5


@dataclass(frozen=True)
class Doubt:
    """Something about an object on a frame that is worth a look."""

    frame: int
    what: str
    box: tuple[float, ...]
    """Where it is, or was last: x1, y1, x2, y2."""


@dataclass(frozen=True, order=True)
class Place:
    """A doubt with the name of the object's label and the job that shows the frame."""

    frame: int
    what: str
    label: str
    job: int
    box: tuple[float, ...]


def places(journal: TrackJournal, run: Run, frames: Frames) -> list[Place]:
    """All that is worth a look of a run, by frame."""
    names = {label.id: label.name for label in frames.task.get_labels()}
    jobs = {number: job.id for job in reversed(frames.jobs) for number in range(job.start_frame, job.stop_frame + 1)}
    return sorted(
        Place(doubt.frame, doubt.what, names[one.label_id], jobs[doubt.frame], doubt.box)
        for one in journal.objects(run.id)
        for way in run.options["passes"].values()
        for doubt in doubts(journal.along(run.id, one.number, way))
        if doubt.frame in jobs
    )


def open_issues(client: Any, found: Sequence[Place]) -> int:
    """Open an issue on each place that has none of the same words yet; returns how many. Raises CvatError."""
    api = client.api_client
    url = client.api_map.make_endpoint_url("/api/issues")
    opened = 0
    there = {job: _issues(client, job) for job in {place.job for place in found}}
    for place in found:
        message = f"{place.label}: {place.what}"
        if (place.frame, message) not in there[place.job]:
            body = {"job": place.job, "frame": place.frame, "position": list(place.box), "message": message}
            headers = make_request_headers(api) | {"Content-Type": "application/json"}
            api.rest_client.POST(url, headers=headers, body=body)
            opened += 1
    return opened


def _issues(client: Any, job: int) -> set[tuple[int, str]]:
    """Frame and first words of the issues of a job."""
    issues = get_paginated_collection(
        client.api_client.issues_api.list_endpoint, return_json=True, _parse_response=False, job_id=job
    )
    return {(issue["frame"], _first_words(client, issue["id"])) for issue in issues}


def _first_words(client: Any, issue: int) -> str:
    comments = get_paginated_collection(
        client.api_client.comments_api.list_endpoint, return_json=True, _parse_response=False, issue_id=issue
    )
    return min(((comment["id"], str(comment["message"])) for comment in comments), default=(0, ""))[1]


def doubts(found: Iterable[tuple[int, Position | None]]) -> Iterator[Doubt]:
    """Of one object, whose positions come frame by frame, None where it was lost."""
    last: Position | None = None
    was_lost = False
    for frame, position in found:
        if position is None:
            if last is not None and not was_lost:
                yield Doubt(frame, "lost", _corners(last))
            was_lost = True
            continue
        if was_lost:
            yield Doubt(frame, "back", _corners(position))
        elif last is not None and (what := _change(last, position)) is not None:
            yield Doubt(frame, what, _corners(position))
        last, was_lost = position, False


def _change(last: Position, position: Position) -> str | None:
    """What is unlikely between neighbouring frames: boxes of IoU below 0.3, or half as large or half as large again."""
    if box_iou(last.box, position.box) < _JUMP_IOU:
        return "jumped"
    before, now = (float((box[2:] - box[:2]).prod()) for box in (last.box, position.box))
    if now > before * _GROWN:
        return "grew"
    return "shrank" if now < before / 2 else None


def _corners(position: Position) -> tuple[float, ...]:
    return tuple(position.box.tolist())
