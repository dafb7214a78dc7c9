"""What people have on other frames: of the objects that are followed, and beside them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptable.cvat.geometry.position import FORMS, Placed, Position, position_of
from promptable.cvat.propagate.broken import check, is_whole
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.journal import Ours
from promptable.cvat.propagate.objects import Copy, Object


def theirs_of(
    copies: Sequence[Copy], held: Mapping[int, Mapping[str, Any]], first: int, ours: Ours
) -> dict[int, Position | None]:
    """Where people have an object on other frames than ``first``, None where they say that it is outside.

    Those are the keyframes of its track that no run wrote, and of a shape those of its group; also of the track that it
    took over from in another form. ``held`` are annotations by job. Raises BrokenError.
    """
    theirs: dict[int, Position | None] = {}
    for track in _other_forms(copies, held, ours):
        check(TRACK, track)
        theirs |= dict(_keyframes(track, ours))
    for copy in copies:
        theirs |= dict(_keyframes(copy.item, ours) if copy.kind == TRACK else _of_group(copy, held[copy.job], ours))
    return {frame: position for frame, position in sorted(theirs.items()) if frame != first}


def _other_forms(
    copies: Sequence[Copy], held: Mapping[int, Mapping[str, Any]], ours: Ours
) -> Iterator[Mapping[str, Any]]:
    """The tracks that runs wrote as the same object in other forms, unless people gave them another label."""
    own, label_id = {(copy.kind, copy.item["id"]) for copy in copies}, copies[0].item["label_id"]
    same = set().union(*(ours.same_object(*one) for one in own)) - own
    tracks = (track for one in held.values() for track in one["tracks"] if track["label_id"] == label_id)
    yield from (track for track in tracks if (TRACK, track["id"]) in same)


def _keyframes(track: Mapping[str, Any], ours: Ours) -> Iterator[tuple[int, Position | None]]:
    written = ours.keyframes(track["id"])
    for key in track["shapes"]:
        if key not in written:
            yield key["frame"], None if key["outside"] else position_of(key)


def _of_group(copy: Copy, annotations: Mapping[str, Any], ours: Ours) -> Iterator[tuple[int, Position]]:
    start = copy.item
    for shape in annotations["shapes"] if start["group"] else ():
        same = shape["group"] == start["group"] and shape["label_id"] == start["label_id"]
        if same and shape["type"] in FORMS and shape["frame"] != start["frame"] and not ours.has(shape):
            check(SHAPE, shape)
            yield shape["frame"], position_of(shape)


def people_around(annotations: Mapping[str, Any], objects: Sequence[Object], ours: Ours) -> dict[int, list[Placed]]:
    """By frame, the shapes and keyframes of a job that are people's and of none of ``objects``.

    What makes no shape is at no place.
    """
    own = {(copy.kind, copy.item["id"]) for one in objects for copy in one.copies}
    around: dict[int, list[Placed]] = {}
    for frame, placed in _peoples(annotations, own, ours):
        if is_whole(placed.position):
            around.setdefault(frame, []).append(placed)
    return around


def _peoples(annotations: Mapping[str, Any], own: set[tuple[str, int]], ours: Ours) -> Iterator[tuple[int, Placed]]:
    for shape in annotations["shapes"]:
        if shape["type"] in FORMS and (SHAPE, shape["id"]) not in own and not ours.has(shape):
            yield shape["frame"], Placed(shape["label_id"], position_of(shape))
    for track in annotations["tracks"]:
        written = ours.keyframes(track["id"])
        for key in track["shapes"] if (TRACK, track["id"]) not in own else ():
            if not key["outside"] and key["type"] in FORMS and key not in written:
                yield key["frame"], Placed(track["label_id"], position_of(key))
