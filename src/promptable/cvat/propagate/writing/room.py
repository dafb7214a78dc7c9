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


class Room:
    """Made by masks and tracks that no object of the run begins as; each makes room once."""

    def __init__(self, ours: Ours, objects: Iterable[Object], *, stays_open: bool) -> None:
        """``stays_open`` are tracks that go on behind the last frame, since objects were followed backward only."""
        self._ours = ours
        self._done = {(copy.kind, copy.item["id"]) for one in objects for copy in one.copies}
        self._stays_open = stays_open

    def made_for(self, part: Part, held: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, Item]]:
        """Action and item of what changes in a job, which holds ``held``."""
        same = set().union(*(self._ours.same_object(copy.kind, copy.item["id"]) for copy in part.one.copies))
        for shape in held["shapes"]:
            if self._is_next(SHAPE, shape) and self._is_earlier_mask(part, shape, same):
                self._done.add((SHAPE, shape["id"]))
                yield "delete", gone(shape, part.one.number)
        for track in held["tracks"]:
            if (TRACK, track["id"]) in same and self._is_next(TRACK, track) and _is_in_the_way(part, track):
                self._done.add((TRACK, track["id"]))
                written = self._ours.keyframes(track["id"])
                rest, borders = rest_of(track, part, written, stays_open=self._stays_open)
                yield left_of(track, rest, borders, part.one.number)

    def _is_next(self, kind: str, one: Mapping[str, Any]) -> bool:
        return (kind, one["id"]) not in self._done

    def _is_earlier_mask(self, part: Part, shape: Mapping[str, Any], same: set[tuple[str, int]]) -> bool:
        """Whether a run made a shape as a mask of the object, on a frame on which it is looked for again."""
        linked = (SHAPE, shape["id"]) in same or (part.group and shape["group"] == part.group)
        alike = (shape["type"], shape["label_id"]) == (MASK, part.one.label_id)
        again = shape["frame"] in part.found and shape["frame"] != part.one.frame
        return bool(linked and alike and again and self._ours.has(shape))


def _is_in_the_way(part: Part, track: Mapping[str, Any]) -> bool:
    """Whether a track, which people may have given another label since, is seen where the object is looked for."""
    is_seen = any(position_at(track, frame) is not None for frame in part.found)
    return is_seen and track["label_id"] == part.one.label_id
