"""A track that hands frames over to another form of its object: what is left of it on the other frames."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from promptable.cvat.geometry.position import Position, position_at, position_of
from promptable.cvat.propagate.changes.job_part import JobPart, Keyframes, kept_keyframes
from promptable.cvat.propagate.changes.keyframe import keyframe
from promptable.cvat.propagate.journal import WrittenShapes
from promptable.cvat.propagate.objects import held_values


def rest_of(
    track: Mapping[str, Any], part: JobPart, written: WrittenShapes, *, stays_open: bool
) -> tuple[dict[str, Any] | None, list[int]]:
    """A track without the frames of ``part.found``, and its borders: the frames of the keyframes that this adds.

    People's keyframes on other frames stay, also outside ones, and the track is seen between them as before. It is None
    if nothing of people's would be left, and the track would be seen nowhere. ``written`` are the keyframes of runs.
    ``stays_open`` says that the object was followed backward only, so the track goes on behind the last frame.
    """
    kept = {frame: key for frame, key in kept_keyframes(track, part.found, written).items() if frame not in part.found}
    in_other_jobs = dict(_seen_in_other_jobs(track, part, kept))
    borders = in_other_jobs | dict(_borders(track, part, kept | in_other_jobs, stays_open))
    keys = kept | borders
    if all(key["outside"] for key in keys.values()) and all(key in written for key in kept.values()):
        return None, []
    return {**track, "frame": min(keys), "shapes": [keys[frame] for frame in sorted(keys)]}, sorted(borders)


def is_seen(track: Mapping[str, Any]) -> bool:
    """Whether a track is seen on any frame."""
    return not all(key["outside"] for key in track["shapes"])


def outside_in_form(track: Mapping[str, Any], part: JobPart) -> Keyframes:
    """The keyframes of a track that is seen nowhere, in the form of ``part``, each at the nearest position found."""
    seen = {frame: position for frame, position in part.found.items() if position is not None}
    return {
        key["frame"]: keyframe(key, key["frame"], _nearest(seen, key["frame"]), outside=True) for key in track["shapes"]
    }


def _nearest(seen: Mapping[int, Position], frame: int) -> Position:
    return seen[min(seen, key=lambda one: abs(one - frame))]


def _seen_in_other_jobs(
    track: Mapping[str, Any], part: JobPart, kept: Keyframes
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Keyframes that keep the track where it is on frames on which people have the object in another job.

    These frames lie between those of ``part.found``, but are not among them.
    """
    between = range(min(part.found), max(part.found))
    for frame, position in part.object.by_people.items():
        if position is not None and frame in between and frame not in part.found and frame not in kept:
            yield from _as_shown(track, frame)


def _borders(
    track: Mapping[str, Any], part: JobPart, kept: Keyframes, stays_open: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Keyframes around the frames that are handed over: outside on the first of them, seen again behind the last.

    There is none on the first if the track is not seen before it, and none behind the last if the track ends there.
    """
    for first, last in _stretches(sorted(part.found), sorted(kept)):
        behind = last + 1
        before = max((frame for frame in kept if frame < first), default=None)
        if before is not None and not kept[before]["outside"]:
            place = position_at(track, first) or position_of(kept[before])
            yield first, _with_held_values(track, first, place, outside=True)
        if behind in part.frames and behind not in kept and (stays_open or any(frame > behind for frame in kept)):
            yield from _as_shown(track, behind)


def _stretches(frames: Sequence[int], kept: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of the ``frames`` between each two neighbours in ``kept``; both are sorted."""
    for _, group in groupby(frames, lambda frame: bisect(kept, frame)):
        stretch = list(group)
        yield stretch[0], stretch[-1]


def _as_shown(track: Mapping[str, Any], frame: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The frame, with a keyframe where CVAT shows the track on it; nothing if CVAT does not show it."""
    if (position := position_at(track, frame)) is not None:
        yield frame, _with_held_values(track, frame, position)


def _with_held_values(
    track: Mapping[str, Any], frame: int, position: Position, *, outside: bool = False
) -> dict[str, Any]:
    """A keyframe with the attributes, occlusion and z-order that the track has on the frame."""
    held = held_values(track, frame)
    return {**keyframe(held, frame, position, outside=outside), "attributes": held["attributes"]}
