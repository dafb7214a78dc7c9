"""A track whose object goes on in another form: where it ends, what it keeps, where it comes back."""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from promptable.cvat.geometry.position import position_at
from promptable.cvat.propagate.content import Written
from promptable.cvat.propagate.objects import Copy, held_values
from promptable.cvat.propagate.writing.tracks import Part, kept_keyframes, keyframe

Keyframes = Mapping[int, Mapping[str, Any]]
"""By frame."""


def rest_of(copy: Copy, part: Part, written: Written, *, stays_open: bool) -> dict[str, Any] | None:
    """The track of ``copy`` without the frames of ``part``, its other form; None where nothing of it is seen any more.

    What people have on other frames stays, and it is seen between them as it was. ``written`` are the keyframes of
    runs; ``stays_open`` is a track that goes on behind the last frame, since its object was followed backward only.
    """
    every = kept_keyframes(copy, part.found, written)
    kept = {frame: key for frame, key in every.items() if frame not in part.found}
    keys = kept | dict(_borders(copy.item, part, kept, stays_open))
    if all(key["outside"] for key in keys.values()):
        return None
    return {**copy.item, "frame": min(keys), "shapes": [keys[frame] for frame in sorted(keys)]}


def _borders(
    track: Mapping[str, Any], part: Part, kept: Keyframes, stays_open: bool
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Keyframes: outside where the other form takes over, and seen again behind it if the track goes on there."""
    for first, last in _stretches(sorted(part.found), sorted(kept)):
        behind = last + 1
        if any(frame < first for frame in kept):
            yield from _shown(track, first, outside=True)
        if behind in part.frames and behind not in kept and (stays_open or any(frame > behind for frame in kept)):
            yield from _shown(track, behind)


def _stretches(frames: Sequence[int], kept: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of the frames between two that are kept."""
    for _, group in groupby(frames, lambda frame: bisect(kept, frame)):
        stretch = list(group)
        yield stretch[0], stretch[-1]


def _shown(track: Mapping[str, Any], frame: int, *, outside: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """A keyframe where CVAT shows the track on a frame, if it does."""
    if (position := position_at(track, frame)) is not None:
        held = held_values(track, frame)
        yield frame, {**keyframe(held, frame, position, outside=outside), "attributes": held["attributes"]}
