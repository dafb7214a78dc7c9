"""What earlier runs made of an object in another form makes room where the object is followed again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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


class Room:
    """Made by masks and tracks that no object of the run begins as; each makes room once."""

    def __init__(self, ours: Ours, objects: Iterable[Object], *, stays_open: bool) -> None:
        """``stays_open`` are tracks that go on behind the last frame, since objects were followed backward only."""
        self._ours = ours
        self._done = {(copy.kind, copy.item["id"]) for one in objects for copy in one.copies}
        self._stays_open = stays_open

    def made_for(self, part: Part, held: Held) -> Iterator[tuple[str, Item]]:
        """Action and item of what changes in a job."""
        for shape in held["shapes"]:
            if self._is_next(SHAPE, shape) and self._is_earlier_mask(part, shape):
                self._done.add((SHAPE, shape["id"]))
                yield "delete", gone(shape, part.one.number)
        for track in self.tracks_of(part.one, held):
            if any(position_at(track, frame) is not None for frame in part.found):
                self._done.add((TRACK, track["id"]))
                written = self._ours.keyframes(track["id"])
                rest, borders = rest_of(track, part, written, stays_open=self._stays_open)
                yield left_of(track, rest, borders, part.one.number)

    def tracks_of(self, one: Object, held: Held) -> list[Mapping[str, Any]]:
        """The other tracks of an object in a job, which people may have given another label since."""
        same = self._same(one)
        tracks = (track for track in held["tracks"] if track["label_id"] == one.label_id)
        return [track for track in tracks if (TRACK, track["id"]) in same and self._is_next(TRACK, track)]

    def group_of(self, one: Object, helds: Iterable[Held]) -> int:
        """The group in which the task has earlier masks of an object, 0 without any."""
        same = self._same(one)
        masks = (shape for held in helds for shape in held["shapes"] if (SHAPE, shape["id"]) in same)
        return next((int(shape["group"]) for shape in masks if shape["group"]), 0)

    def _same(self, one: Object) -> set[tuple[str, int]]:
        return set().union(*(self._ours.same_object(copy.kind, copy.item["id"]) for copy in one.copies))

    def _is_next(self, kind: str, one: Mapping[str, Any]) -> bool:
        return (kind, one["id"]) not in self._done

    def _is_earlier_mask(self, part: Part, shape: Mapping[str, Any]) -> bool:
        """Whether a run made a shape as a mask of the object, on a frame on which it is looked for again."""
        again = shape["frame"] in part.found and shape["frame"] != part.one.frame
        alike = again and (shape["type"], shape["label_id"]) == (MASK, part.one.label_id)
        grouped = alike and part.group and shape["group"] == part.group
        linked = grouped or (alike and (SHAPE, shape["id"]) in self._same(part.one))
        return bool(linked and self._ours.has(shape))
