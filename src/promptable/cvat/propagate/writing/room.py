"""What earlier runs made of an object in another form makes room where the object is followed again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from promptable.cvat.geometry.position import MASK, position_at
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.journal import Ours
from promptable.cvat.propagate.objects import Object
from promptable.cvat.propagate.writing.handover import rest_of
from promptable.cvat.propagate.writing.items import Item, gone, left_of
from promptable.cvat.propagate.writing.tracks import Part

Held = Mapping[str, Sequence[Mapping[str, Any]]]
"""The annotations of a job, by kind."""

Parts = Set[tuple[str, int]]
"""Kind and id of what is of one object."""


class Room:
    """Made by masks and tracks that no object of the run begins as; each makes room once."""

    def __init__(self, ours: Ours, held: Mapping[int, Held], objects: Iterable[Object], *, stays_open: bool) -> None:
        """``held`` are annotations by job; ``stays_open`` are tracks that go on behind the last frame, since objects
        were followed backward only."""
        self._ours = ours
        self._held = held
        self._done = {(copy.kind, copy.item["id"]) for one in objects for copy in one.copies}
        self._stays_open = stays_open

    def made_for(self, part: Part, job: int) -> Iterator[tuple[str, Item]]:
        """Action and item of what changes in a job."""
        known = self._known(part.one)
        group = 0 if known or self._shares_its_group(part) else part.group
        for shape in self._held[job]["shapes"]:
            is_of_it = _is_in(known, SHAPE, shape) or (group and shape["group"] == group)
            if is_of_it and self._is_next(SHAPE, shape) and self._is_earlier_mask(part, shape):
                self._done.add((SHAPE, shape["id"]))
                yield "delete", gone(shape, part.one.number)
        for track in self.tracks_of(part.one, job):
            if any(position_at(track, frame) is not None for frame in part.found):
                self._done.add((TRACK, track["id"]))
                written = self._ours.keyframes(track["id"])
                rest, borders = rest_of(track, part, written, stays_open=self._stays_open)
                yield left_of(track, rest, borders, part.one.number)

    def tracks_of(self, one: Object, job: int) -> list[Mapping[str, Any]]:
        """The other tracks of an object in a job, unless people gave them another label."""
        known = self._known(one)
        tracks = (track for track in self._held[job]["tracks"] if track["label_id"] == one.label_id)
        return [track for track in tracks if _is_in(known, TRACK, track) and self._is_next(TRACK, track)]

    def group_of(self, one: Object) -> int:
        """The group in which the jobs have earlier masks of an object, 0 without any."""
        known = self._known(one)
        shapes = (shape for held in self._held.values() for shape in held["shapes"])
        return min((int(shape["group"]) for shape in shapes if _is_in(known, SHAPE, shape)), default=0)

    def _known(self, one: Object) -> list[Parts]:
        """What runs knew as parts of an object beside what it begins as: nothing if people have drawn it since."""
        own = {(copy.kind, copy.item["id"]) for copy in one.copies}
        known = {id(parts): parts for parts in (self._ours.same_object(*copy) for copy in own)}
        return [parts for parts in known.values() if not parts <= own]

    def _shares_its_group(self, part: Part) -> bool:
        """Whether the group has another one of the label on the first frame: it is not the object's alone."""
        own = {copy.item["id"] for copy in part.one.copies if copy.kind == SHAPE}
        first = (shape for held in self._held.values() for shape in held["shapes"] if shape["frame"] == part.one.frame)
        alike = (shape for shape in first if (shape["group"], shape["label_id"]) == (part.group, part.one.label_id))
        return any(shape["id"] not in own for shape in alike)

    def _is_next(self, kind: str, one: Mapping[str, Any]) -> bool:
        return (kind, one["id"]) not in self._done

    def _is_earlier_mask(self, part: Part, shape: Mapping[str, Any]) -> bool:
        """Whether a run made a shape as a mask, on a frame on which the object is looked for again."""
        again = shape["frame"] in part.found and shape["frame"] != part.one.frame
        alike = (shape["type"], shape["label_id"]) == (MASK, part.one.label_id)
        return again and alike and self._ours.has(shape)


def _is_in(known: Iterable[Parts], kind: str, one: Mapping[str, Any]) -> bool:
    return any((kind, one["id"]) in parts for parts in known)
