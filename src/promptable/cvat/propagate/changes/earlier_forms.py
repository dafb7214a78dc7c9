"""Earlier forms of an object: masks and tracks that earlier runs wrote for it, when it was followed in another form.

Where the object is followed again, they give way.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from promptable.cvat.geometry.position import MASK, position_at
from promptable.cvat.propagate.changes.handover import rest_of
from promptable.cvat.propagate.changes.items import Change, deleted, shortened
from promptable.cvat.propagate.changes.job_part import JobPart
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.journal import Key, RunWrites
from promptable.cvat.propagate.objects import Object
from promptable.cvat.server.annotations import Annotations


class EarlierForms:
    """Finds the earlier forms of the objects of a run. Annotations that an object begins as are none."""

    def __init__(
        self,
        run_writes: RunWrites,
        annotations: Mapping[int, Annotations],
        objects: Iterable[Object],
        *,
        stays_open: bool,
    ) -> None:
        """``annotations`` are those of each job, ``objects`` all of the run.

        ``stays_open`` says that objects are followed backward only, so tracks go on behind the last frame.
        """
        self._run_writes = run_writes
        self._annotations = annotations
        self._stays_open = stays_open
        self._done = {copy.key for one in objects for copy in one.copies}
        """What begins an object, or has given way already: two objects may have one earlier form."""

    def give_way(self, part: JobPart, job: int) -> Iterator[Change]:
        """The changes by which earlier forms give way to an object in a job."""
        yield from self._delete_masks(part, job)
        for track in self.tracks_of(part.object, job):
            if any(position_at(track, frame) is not None for frame in part.found):
                self._done.add((TRACK, track["id"]))
                written = self._run_writes.keyframes(track["id"])
                rest, borders = rest_of(track, part, written, stays_open=self._stays_open)
                yield shortened(track, rest, borders, part.object.number)

    def _delete_masks(self, part: JobPart, job: int) -> Iterator[Change]:
        """Delete masks that a run wrote on frames that are followed again.

        They are of the object if the journal says so. If it knows none, because people have drawn the object anew, they
        are those in its group.
        """
        known = self._known(part.object)
        group = 0 if known or self._shares_its_group(part) else part.group
        for shape in self._annotations[job]["shapes"]:
            key = SHAPE, shape["id"]
            is_of_object = key in known or (group and shape["group"] == group)
            if is_of_object and key not in self._done and self._is_followed_again(part, shape):
                self._done.add(key)
                yield "delete", deleted(shape, part.object.number)

    def tracks_of(self, one: Object, job: int) -> list[Mapping[str, Any]]:
        """The tracks of a job that are earlier forms of an object."""
        keys = {copy.key for copy in one.copies}
        tracks = self._run_writes.other_tracks(keys, one.label_id, self._annotations[job])
        return [track for track in tracks if (TRACK, track["id"]) not in self._done]

    def group_of(self, one: Object) -> int:
        """The group of an object's earlier masks, in any job; 0 if there are none."""
        known = self._known(one)
        shapes = (shape for annotations in self._annotations.values() for shape in annotations["shapes"])
        return min((int(shape["group"]) for shape in shapes if (SHAPE, shape["id"]) in known), default=0)

    def _known(self, one: Object) -> Set[Key]:
        return self._run_writes.same_object({copy.key for copy in one.copies})

    def _shares_its_group(self, part: JobPart) -> bool:
        """Whether another shape of the label is in the object's group on the first frame."""
        own = {copy.item["id"] for copy in part.object.copies if copy.kind == SHAPE}
        wanted = part.object.frame, part.group, part.object.label_id
        shapes = (shape for annotations in self._annotations.values() for shape in annotations["shapes"])
        alike = (one for one in shapes if (one["frame"], one["group"], one["label_id"]) == wanted)
        return any(shape["id"] not in own for shape in alike)

    def _is_followed_again(self, part: JobPart, shape: Mapping[str, Any]) -> bool:
        """Whether a shape is a mask that a run wrote, on a frame on which the object was followed again."""
        again = shape["frame"] in part.found and shape["frame"] != part.object.frame
        alike = (shape["type"], shape["label_id"]) == (MASK, part.object.label_id)
        return again and alike and self._run_writes.has(shape)
