"""What the journal holds of runs of ``propagate``."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.geometry.position import Position
from promptable.cvat.propagate.content import TRACK, Written, in_order, values


@dataclass(frozen=True)
class Step:
    """One frame: where each object is by its number, None where it is lost, and the states to go on from.

    A state is None while people say that the object is outside; one without a state has ended.
    """

    frame: int
    found: Mapping[int, Position | None]
    states: Mapping[int, Any]


@dataclass(frozen=True)
class Write:
    """One request: ``action`` create, update or delete, with ``items``.

    An item is ``kind`` (shape or track), ``new`` (None at delete), ``before`` (as the server had it, None at create)
    and, once the server has it, ``id``; of a track ``own`` are the frames of the keyframes that are not people's, and
    ``borders`` those of the ones by which people's track makes room for another form.
    ``object`` is whose it is. ``after`` are the highest ids of the job before a create was sent first.
    """

    id: int
    run: int
    job: int
    action: str
    state: str
    items: Sequence[Mapping[str, Any]]
    after: Mapping[str, int]


class Ours:
    """What runs have written, by the server's ids: keyframes of tracks, and shapes."""

    def __init__(
        self, writes: Sequence[Write], begun: Iterable[tuple[int, Mapping[str, Any]]], undone: Collection[int]
    ) -> None:
        """Of writes that the server has stored, and of the objects that runs began with, each with its run; those that
        were ``undone`` do not say what is of one object."""
        self._keyframes: dict[int, Written] = {}
        self._shapes: dict[int, Written] = {}
        objects = {
            (run, one["number"]): {(copy["kind"], copy["item"]["id"]) for copy in one["copies"]} for run, one in begun
        }
        for run, item in ((write.run, item) for write in writes for item in write.items if item.get("id") is not None):
            objects.setdefault((run, item["object"]), set()).add((item["kind"], item["id"]))
            if item["new"] is None:
                continue
            if item["kind"] == TRACK:
                self._add_keyframes(self._keyframes.setdefault(item["id"], Written()), item)
            else:
                self._shapes.setdefault(item["id"], Written()).add(item["new"], dict(values(item["new"])))
        self._linked = _joined(parts for (run, _), parts in objects.items() if run not in undone)

    def _add_keyframes(self, written: Written, item: Mapping[str, Any]) -> None:
        """Those that are not people's; each holds the attributes of those before it."""
        held: dict[int, str] = {}
        for key in in_order(item["new"]):
            held = {**held, **dict(values(key))} if key["attributes"] else held
            if key["frame"] in item["own"] or key["frame"] in item.get("borders", ()):
                written.add(key, held)

    def keyframes(self, track: int) -> Written:
        """The keyframes that runs gave to a track."""
        return self._keyframes.get(track, Written())

    def same_object(self, kind: str, number: int) -> set[tuple[str, int]]:
        """Kind and id of all that runs knew, in whatever jobs, as of one object with a shape or track; of one that no
        run knows nothing."""
        return self._linked.get((kind, number), set())

    def has(self, shape: Mapping[str, Any]) -> bool:
        """Whether a shape is as a run wrote it."""
        return shape in self._shapes.get(shape["id"], Written())


def _joined(objects: Iterable[set[tuple[str, int]]]) -> dict[tuple[str, int], set[tuple[str, int]]]:
    """By each part of objects all that belongs to it: what two runs wrote is of one object where they share a part."""
    linked: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for parts in objects:
        whole = parts.union(*(linked.get(one, ()) for one in parts))
        linked |= dict.fromkeys(whole, whole)
    return linked


def read_write(row: Any) -> Write:
    items, after = json.loads(row["items"]), json.loads(row["after"])
    return Write(row["id"], row["run"], row["job"], row["action"], row["state"], items, after)
