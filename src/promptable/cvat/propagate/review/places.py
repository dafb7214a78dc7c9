"""How every object of a run was followed, and the places that are worth a look, in the terms of a CVAT task."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from promptable.cvat.geometry.position import Position
from promptable.cvat.journal import Run
from promptable.cvat.labels.entries import listed
from promptable.cvat.propagate.broken_shapes import is_valid
from promptable.cvat.propagate.journal import TrackReader
from promptable.cvat.propagate.objects import Object
from promptable.cvat.propagate.review.doubts import doubts
from promptable.cvat.server.frames import Frames

_MOST_BINS = 150


@dataclass(frozen=True)
class Place:
    """A doubt about an object on a frame, with the name of its label and the job that shows the frame.

    ``number`` is the object's in the journal, ``box`` where it is or was last: x1, y1, x2, y2. ``sure`` and ``before``
    are the doubt's.
    """

    frame: int
    what: str
    label: str
    job: int
    box: tuple[float, ...]
    number: int
    sure: float
    before: int | None


@dataclass(frozen=True)
class Followed:
    """How an object was followed: on so many ``frames``, found on so many of them, with the tracker's lowest score.

    ``bins`` has the lowest score of each part of the run's frames, by its place among them; 0 where it was lost.
    """

    number: int
    label: str
    frames: int
    found: int
    weakest: float
    bins: Mapping[int, float]


@dataclass(frozen=True)
class Review:
    """What a run is looked at for: its objects, and the places in the order of their frames.

    ``bins`` is into how many parts the frames of the run are drawn together.
    """

    objects: Sequence[Followed]
    places: Sequence[Place]
    bins: int

    def by_doubts(self) -> list[tuple[Followed, int]]:
        """The objects with the number of their places, those with the most first."""
        counts = Counter(place.number for place in self.places)
        objects = [(one, counts[one.number]) for one in self.objects]
        return sorted(objects, key=lambda pair: (-pair[1], pair[0].weakest, pair[0].number))


def review(client: Any, journal: TrackReader, run: Run, frames: Frames) -> Review:
    """All of a run, from its journal, but for objects whose label is gone from the task, and they with it.

    ``client`` is cvat-sdk's. Raises CvatError.
    """
    names = {int(label["id"]): str(label["name"]) for label in listed(client, frames.task.id)}
    objects = [one for one in journal.objects(run.id) if one.label_id in names]
    bins = _bins({frame for way in run.options["passes"].values() for frame in way})
    ways = [(one, direction) for one in objects for direction in journal.directions(run.id)]
    followed = [_followed(one, names[one.label_id], dict(journal.scores(run.id, one.number)), bins) for one in objects]
    places = [
        place
        for one, direction in ways
        for place in _places(one, names[one.label_id], course(journal, run.id, one, direction), frames.first_jobs)
    ]
    return Review(followed, sorted(places, key=lambda place: (place.frame, place.number)), 1 + max(bins.values()))


def course(journal: TrackReader, run: int, one: Object, direction: int) -> Iterator[tuple[int, Position | None]]:
    """Where an object was found in a direction, None where it was lost: from where it starts, by way of where people
    have it on other frames. Where it starts the tracker was told: a detector's score is none of how it was followed.
    Not where its points make no shape, as runs of earlier versions took them."""
    drawn = [
        (frame, position)
        for frame, position in {**one.by_people, one.frame: replace(one.start, score=1.0)}.items()
        if position is not None and (frame - one.frame) * direction >= 0
    ]
    drawn.sort(key=lambda pair: pair[0] * direction)
    merged = heapq.merge(journal.along(run, one.number, direction), drawn, key=lambda pair: pair[0] * direction)
    yield from ((frame, position) for frame, position in merged if position is None or is_valid(position))


def _places(
    one: Object, label: str, way: Iterator[tuple[int, Position | None]], jobs: Mapping[int, int]
) -> Iterator[Place]:
    for doubt in doubts(way):
        if doubt.frame in jobs and doubt.frame not in one.by_people:
            job = jobs[doubt.frame]
            yield Place(doubt.frame, doubt.what, label, job, doubt.box, one.number, doubt.sure, doubt.before)


def _followed(one: Object, label: str, scores: Mapping[int, float | None], bins: Mapping[int, int]) -> Followed:
    weakest: dict[int, float] = {}
    for frame, score in scores.items():
        weakest[bins[frame]] = min(score or 0.0, weakest.get(bins[frame], 1.0))
    found = [score for score in scores.values() if score is not None]
    return Followed(one.number, label, len(scores), len(found), min(found, default=0.0), weakest)


def _bins(frames: set[int]) -> dict[int, int]:
    """The bin of each frame."""
    width = max(1.0, len(frames) / _MOST_BINS)
    return {frame: int(index / width) for index, frame in enumerate(sorted(frames))}
