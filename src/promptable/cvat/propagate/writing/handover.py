"""A track whose object goes on in another form: where it ends, what it keeps, where it comes back."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from promptable.cvat.geometry.position import Position, position_at, position_of
from promptable.cvat.propagate.content import Written
from promptable.cvat.propagate.objects import held_values
from promptable.cvat.propagate.writing.tracks import Part, kept_keyframes, keyframe

Keyframes = Mapping[int, Mapping[str, Any]]
"""By frame."""


def rest_of(
    track: Mapping[str, Any], part: Part, written: Written, *, stays_open: bool
) -> tuple[dict[str, Any] | None, list[int]]:
    """A track without the frames of ``part``, its other form; None where nothing of it is left. Also its borders.

    What people have on other frames stays, and it is seen between them as it was; that it is outside is also something
    that they have. ``written`` are the keyframes of runs; ``stays_open`` is a track that goes on behind the last frame,
    since its object was followed backward only. Borders are the frames of the keyframes that are new.
    """
    kept = {frame: key for frame, key in kept_keyframes(track, part.found, written).items() if frame not in part.found}
    elsewhere = dict(_drawn_elsewhere(track, part, kept))
    borders = elsewhere | dict(_borders(track, part, kept | elsewhere, stays_open))
    keys = kept | borders
    if all(key["outside"] for key in keys.values()) and all(key in written for key in kept.values()):
        return None, []
    return {**track, "frame": min(keys), "shapes": [keys[frame] for frame in sorted(keys)]}, sorted(borders)


def is_seen(track: Mapping[str, Any]) -> bool:
    """Whether it is on any frame."""
    return not all(key["outside"] for key in track["shapes"])


def outside_in_form(track: Mapping[str, Any], part: Part) -> Keyframes:
    """The keyframes of a track that is nowhere seen, in the form of ``part``: each with the nearest place found."""
    seen = {frame: position for frame, position in part.found.items() if position is not None}
    return {
        key["frame"]: keyframe(key, key["frame"], _nearest(seen, key["frame"]), outside=True) for key in track["shapes"]
    }


def _nearest(seen: Mapping[int, Position], frame: int) -> Position:
    return seen[min(seen, key=lambda one: abs(one - frame))]


def _drawn_elsewhere(track: Mapping[str, Any], part: Part, kept: Keyframes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Keyframes between the frames of ``part`` where people have the object in another job, as it was."""
    between = range(min(part.found), max(part.found))
    for frame, position in part.one.theirs.items():
        if position is not None and frame in between and frame not in part.found and frame not in kept:
            yield from _shown(track, frame)


def _borders(
    track: Mapping[str, Any], part: Part, kept: Keyframes, stays_open: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Keyframes: outside where the other form takes over, and seen again behind it if the track goes on there."""
    for first, last in _stretches(sorted(part.found), sorted(kept)):
        behind = last + 1
        before = max((frame for frame in kept if frame < first), default=None)
        if before is not None and not kept[before]["outside"]:
            place = position_at(track, first) or position_of(kept[before])
            yield first, _as_held(track, first, place, outside=True)
        if behind in part.frames and behind not in kept and (stays_open or any(frame > behind for frame in kept)):
            yield from _shown(track, behind)


def _stretches(frames: Sequence[int], kept: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of the frames between two that are kept."""
    for _, group in groupby(frames, lambda frame: bisect(kept, frame)):
        stretch = list(group)
        yield stretch[0], stretch[-1]


def _shown(track: Mapping[str, Any], frame: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """A keyframe where CVAT shows the track on a frame, if it does."""
    if (position := position_at(track, frame)) is not None:
        yield frame, _as_held(track, frame, position)


def _as_held(track: Mapping[str, Any], frame: int, position: Position, *, outside: bool = False) -> dict[str, Any]:
    """A keyframe with what the track has on its frame beside the place."""
    held = held_values(track, frame)
    return {**keyframe(held, frame, position, outside=outside), "attributes": held["attributes"]}
