"""Looking for new objects on frames of a video with a detector: what is not known yet joins the objects of the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptable.cvat.annotate.detector import Detector, describe
from promptable.cvat.annotate.options import Options as DetectorOptions
from promptable.cvat.detection import TAG, Detection
from promptable.cvat.functions import Function, Picture
from promptable.cvat.geometry.position import FORMS, Placed, Position
from promptable.cvat.labels.checks import check_names
from promptable.cvat.labels.task_label import TaskLabel
from promptable.cvat.labels.task_labels import TaskLabels, task_labels
from promptable.cvat.propagate.following.matching import matched
from promptable.cvat.propagate.following.pictures import number_of
from promptable.cvat.propagate.objects import Object, found_on
from promptable.cvat.propagate.options import Options
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.frames import Frames


@dataclass(frozen=True)
class Known:
    """What is known of a frame: the ``objects`` that are followed there.

    ``seen`` is where those are that the tracker sees; ``lost`` is where the others were last, by number.
    """

    objects: Sequence[Object]
    seen: Sequence[Placed]
    lost: Mapping[int, Placed] = field(default_factory=dict)


@dataclass(frozen=True)
class News:
    """What a detector found: new objects, which ``joined``, and where lost ones are ``back``, by number."""

    joined: Sequence[Object]
    back: Mapping[int, Position]


class Newcomers:
    """Looks for objects that are not known yet, with a detector."""

    def __init__(self, client: Any, frames: Frames, function: Function, options: Options) -> None:
        """``client`` is cvat-sdk's. Raises CvatError, also if the task lacks a label for one of the words."""
        asked = DetectorOptions(options.detect or "", labels=options.words)
        described = describe(function, asked)
        self._labels = task_labels(client, frames.task.id, described.labels)
        _check(self._labels, described.labels, options)
        self._detector = Detector(function, described, asked, self._labels)
        self._client = client
        self._frames = frames
        self._form = options.form

    def look(self, picture: Picture, known: Known, number: int = 0, direction: int = 0) -> News:
        """Run the detector on a frame, and compare what it finds with what is known. Raises CvatError.

        Objects that join get numbers from ``number`` on; ``direction`` is that of the pass, 0 on the run's first frame.
        """
        frame = number_of(picture)
        found = [one for one in self._detector.ask(picture, self._frames.frame(frame).hw) if self._is_wanted(one)]
        placed = [Placed(self._label(one).id, _position(one)) for one in found]
        there = [*known.seen, *self._shown(frame, known.objects)]
        shows_known = matched(placed, there)
        left = [i for i, one in enumerate(placed) if i not in shows_known and not _is_known(one, there)]
        shows_lost = matched([placed[i] for i in left], list(known.lost.values()))
        numbers = list(known.lost)
        back = {numbers[lost]: placed[left[i]].position for i, lost in shows_lost.items()}
        new = [found[at] for i, at in enumerate(left) if i not in shows_lost]
        return News([self._object(one, frame, number + i, direction) for i, one in enumerate(new)], back)

    def _is_wanted(self, found: Detection) -> bool:
        return found.chosen and found.type != TAG and found.label in self._labels.by_name

    def _label(self, found: Detection) -> TaskLabel:
        return self._labels.by_name[found.label]

    def _shown(self, frame: int, followed: Sequence[Object]) -> list[Placed]:
        """What CVAT shows on a frame beside the objects that are ``followed``; whoever made it, it is not new."""
        own = {(copy.kind, copy.item["id"]) for one in followed for copy in one.copies}
        jobs = [
            job.id
            for job in self._frames.jobs
            if frame in self._frames.shown_in(job) and not self._frames.is_replica(job)
        ]
        return [
            Placed(item["label_id"], position)
            for job in jobs
            for kind, item, position in found_on(JobAnnotations(self._client, job).read(), frame)
            if (kind, item["id"]) not in own
        ]

    def _object(self, found: Detection, frame: int, number: int, direction: int) -> Object:
        label, position = self._label(found), _position(found)
        shape = label.payload(found, frame, self._detector.options.review_below)
        form = self._form or position.form
        return Object(number, label.id, form, frame, position, (), {}, detected=shape, joined=direction)


def _position(found: Detection) -> Position:
    return Position(found.type, tuple(found.points), score=found.stored_score)


def _is_known(one: Placed, there: Sequence[Placed]) -> bool:
    """Whether something known has the label of a detection and overlaps it."""
    return any(other.is_double(*one) for other in there)


def _check(labels: TaskLabels, entries: Sequence[Mapping[str, Any]], options: Options) -> None:
    """Raise CvatError if the task lacks labels for the words, or has labels of other shape types for them."""
    wanted = [entry for entry in entries if entry["name"] not in labels.marks and entry["type"] != TAG]
    if options.words is not None or not any(entry["name"] in labels.by_name for entry in wanted):
        check_names(labels, [entry["name"] for entry in wanted], "add them to the task in CVAT")
    for entry in wanted:
        label, form = labels.get(entry["name"]), options.form or entry["type"]
        if label is not None and form in FORMS and not label.takes(form):
            raise CvatError(f"label {label.name!r} takes a {label.type} in the task, not a {form}: --as {label.type}")
