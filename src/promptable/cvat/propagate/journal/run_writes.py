"""What runs of ``propagate`` have written into a task: shapes and keyframes, and which of them are of one object."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from promptable.cvat.propagate.content import TRACK, in_order, keyframe_content
from promptable.cvat.propagate.journal.records import Key, Write
from promptable.cvat.server.comparison import values


class WrittenShapes:
    """Shapes, or keyframes of one track, as runs wrote them. ``in`` says whether a shape is one of them, unchanged.

    It has changed if people have moved, hidden, occluded or raised it, or have edited one of its attributes.
    """

    def __init__(self) -> None:
        self._attributes: dict[tuple[Any, ...], list[Mapping[int, str]]] = {}

    def add(self, shape: Mapping[str, Any], attributes: Mapping[int, str]) -> None:
        """``attributes`` are its values by spec id; a keyframe also has those of the keyframes before it."""
        self._attributes.setdefault(_without_attributes(shape), []).append(attributes)

    def __contains__(self, shape: Mapping[str, Any]) -> bool:
        return any(
            all(written.get(spec, value) == value for spec, value in values(shape).items())
            for written in self._attributes.get(_without_attributes(shape), ())
        )


def _without_attributes(shape: Mapping[str, Any]) -> tuple[Any, ...]:
    label = shape.get("label_id")  # a keyframe has none
    return (*keyframe_content(shape), label, shape["type"], bool(shape["occluded"]), int(shape["z_order"]))


class RunWrites:
    """The shapes and keyframes that runs have written, by CVAT's ids, and which annotations are of one object."""

    def __init__(
        self, writes: Sequence[Write], begun: Iterable[tuple[int, Mapping[str, Any]]], undone: Collection[int]
    ) -> None:
        """``writes`` are those that CVAT has stored; ``begun`` are the objects of runs, as JSON, each with its run.

        ``undone`` are runs that were taken back: they no longer say which annotations are of one object.
        """
        self._keyframes: dict[int, WrittenShapes] = defaultdict(WrittenShapes)
        self._shapes: dict[int, WrittenShapes] = defaultdict(WrittenShapes)
        for _, item in _stored(writes):
            self._add(item)
        self._linked = _linked(keys for run, keys in _objects(writes, begun) if run not in undone)

    def _add(self, item: Mapping[str, Any]) -> None:
        new = item["new"]
        if new is None:
            return
        if item["kind"] == TRACK:
            self._add_keyframes(self._keyframes[item["id"]], item)
        else:
            self._shapes[item["id"]].add(new, values(new))

    def _add_keyframes(self, written: WrittenShapes, item: Mapping[str, Any]) -> None:
        attributes: dict[int, str] = {}
        for key in in_order(item["new"]):
            attributes = {**attributes, **values(key)}
            if key["frame"] in item["own"] or key["frame"] in item.get("borders", ()):
                written.add(key, attributes)

    def keyframes(self, track: int) -> WrittenShapes:
        """The keyframes that runs have written into a track of CVAT."""
        return self._keyframes.get(track, WrittenShapes())

    def has(self, shape: Mapping[str, Any]) -> bool:
        """Whether a run has written a shape of CVAT, and nobody has changed it since."""
        return shape in self._shapes.get(shape["id"], WrittenShapes())

    def same_object(self, keys: Set[Key]) -> Set[Key]:
        """All annotations, in any job, that runs took for one object with one of ``keys``, these included.

        Empty if runs know of none beside ``keys``.
        """
        known = (self._linked.get(key, set()) for key in keys)
        return set[Key]().union(*(linked for linked in known if not linked <= keys))

    def other_tracks(self, keys: Set[Key], label_id: int, annotations: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The tracks, of a job's ``annotations``, that are other forms of the object that ``keys`` are annotations of.

        Tracks with another label than ``label_id`` are another object now: people have relabelled them.
        """
        others = self.same_object(keys) - keys
        tracks = [track for track in annotations["tracks"] if track["label_id"] == label_id]
        return [track for track in tracks if (TRACK, track["id"]) in others]


def _stored(writes: Iterable[Write]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The items with an id, each with its run. Those without were deleted before the id was known."""
    return ((write.run, item) for write in writes for item in write.items if item.get("id") is not None)


def _objects(writes: Sequence[Write], begun: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, set[Key]]]:
    """For every object of a run: the run, and the annotations that the object began as and that were written for it."""
    objects: dict[tuple[int, int], set[Key]] = defaultdict(set)
    for run, one in begun:
        objects[run, one["number"]] |= {(copy["kind"], copy["item"]["id"]) for copy in one["copies"]}
    for run, item in _stored(writes):
        objects[run, item["object"]].add((item["kind"], item["id"]))
    return ((run, keys) for (run, _), keys in objects.items())


def _linked(objects: Iterable[set[Key]]) -> dict[Key, set[Key]]:
    """For each annotation, all annotations of its object: objects that share an annotation are one object."""
    linked: dict[Key, set[Key]] = {}
    for keys in objects:
        whole = keys.union(*(linked.get(key, ()) for key in keys))
        linked |= dict.fromkeys(whole, whole)
    return linked
