"""What people have annotated: the objects that are followed, on other frames, and other objects beside them.

An annotation counts as people's unless a run wrote it and nobody has changed it since.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from promptable.cvat.geometry.position import FORMS, Placed, Position, position_of
from promptable.cvat.propagate.broken_shapes import check_shapes, is_valid
from promptable.cvat.propagate.content import SHAPE, TRACK
from promptable.cvat.propagate.journal import Key, RunWrites
from promptable.cvat.propagate.objects import Copy, Object
from promptable.cvat.server.annotations import Annotations


def positions_by_people(
    copies: Sequence[Copy], annotations: Mapping[int, Annotations], first: int, run_writes: RunWrites
) -> dict[int, Position | None]:
    """Where people have an object on other frames than ``first``; None where they say that it is outside.

    For a track these are its keyframes, and those of the object's tracks in other forms; for a shape, the shapes of its
    group. ``annotations`` are those of each job. Raises BrokenShapeError.
    """
    positions: dict[int, Position | None] = {}
    keys, label_id = {copy.key for copy in copies}, copies[0].item["label_id"]
    for in_job in annotations.values():
        for track in run_writes.other_tracks(keys, label_id, in_job):
            check_shapes(TRACK, track)
            positions |= dict(_keyframes(track, run_writes))
    for copy in copies:
        is_track = copy.kind == TRACK
        positions |= dict(
            _keyframes(copy.item, run_writes) if is_track else _of_group(copy.item, annotations[copy.job], run_writes)
        )
    return {frame: position for frame, position in sorted(positions.items()) if frame != first}


def _keyframes(track: Mapping[str, Any], run_writes: RunWrites) -> Iterator[tuple[int, Position | None]]:
    written = run_writes.keyframes(track["id"])
    for key in track["shapes"]:
        if key not in written:
            yield key["frame"], None if key["outside"] else position_of(key)


def _of_group(
    start: Mapping[str, Any], annotations: Annotations, run_writes: RunWrites
) -> Iterator[tuple[int, Position]]:
    for shape in annotations["shapes"] if start["group"] else ():
        same = shape["group"] == start["group"] and shape["label_id"] == start["label_id"]
        if same and shape["type"] in FORMS and shape["frame"] != start["frame"] and not run_writes.has(shape):
            check_shapes(SHAPE, shape)
            yield shape["frame"], position_of(shape)


def other_objects(
    annotations: Annotations, objects: Sequence[Object], run_writes: RunWrites
) -> dict[int, list[Placed]]:
    """By frame, the shapes and visible keyframes of people in a job that belong to none of ``objects``.

    Broken shapes are left out.
    """
    keys = {copy.key for one in objects for copy in one.copies}
    others: dict[int, list[Placed]] = {}
    for frame, placed in _placed(annotations, keys, run_writes):
        if is_valid(placed.position):
            others.setdefault(frame, []).append(placed)
    return others


def _placed(annotations: Annotations, without: Set[Key], run_writes: RunWrites) -> Iterator[tuple[int, Placed]]:
    for shape in annotations["shapes"]:
        if shape["type"] in FORMS and (SHAPE, shape["id"]) not in without and not run_writes.has(shape):
            yield shape["frame"], Placed(shape["label_id"], position_of(shape))
    for track in annotations["tracks"]:
        written = run_writes.keyframes(track["id"])
        for key in track["shapes"] if (TRACK, track["id"]) not in without else ():
            if not key["outside"] and key["type"] in FORMS and key not in written:
                yield key["frame"], Placed(track["label_id"], position_of(key))
