"""The part of an object that one job shows: what was found there, and which keyframes of its track do not change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from promptable.cvat.geometry.position import Position, position_at, position_of
from promptable.cvat.propagate.changes.keyframe import keyframe
from promptable.cvat.propagate.content import SHAPE
from promptable.cvat.propagate.journal import WrittenShapes
from promptable.cvat.propagate.objects import Object, held_values

Keyframes = Mapping[int, Mapping[str, Any]]
"""Keyframes of a track, as CVAT's REST API has them, by frame."""


@dataclass(frozen=True)
class JobPart:
    """The part of an object that lies in a job.

    - ``group`` is the object's group in CVAT.
    - ``frames`` are the job's; ``followed`` those through which the run followed objects, in order.
    - ``found`` is where the object is on these, as far as that is written; None where it is lost.
    - ``track`` is the object's track in the job, as CVAT has it; None if the job has none, or gets a new one.
    - ``kept`` are the keyframes of ``track`` that stay: people's, and those on frames that were not followed again.
    - ``borrowed`` are keyframes that the job lacks, on frames on which people have the object in another job.
    - ``mutable`` are the ids of the attributes that may differ from frame to frame; a track has them at its keyframes.
    - ``stays_open``: people's track was followed backward only, so it goes on behind the last followed frame as it did.
    """

    object: Object
    group: int
    frames: range
    followed: Sequence[int]
    found: Mapping[int, Position | None]
    mutable: frozenset[int]
    track: Mapping[str, Any] | None = None
    kept: Keyframes = field(default_factory=dict)
    borrowed: Keyframes = field(default_factory=dict)
    stays_open: bool = False

    @property
    def is_seen(self) -> bool:
        """Whether the object was found on any frame of the job."""
        return any(position is not None for position in self.found.values())

    @cached_property
    def fixed(self) -> Keyframes:
        """The keyframes that the track has whatever was found: ``kept`` and ``borrowed``."""
        return {**self.kept, **self.borrowed}

    def seen_on(self, frame: int) -> Position | None:
        """Where the object is on a frame, by a fixed keyframe or else as it was found; None where it is not seen."""
        key = self.fixed.get(frame)
        if key is None:
            return self.found.get(frame)
        return None if key["outside"] else position_of(key)

    @property
    def source(self) -> str:
        """CVAT's ``source`` of what is written: auto if no person has begun the object."""
        is_auto = self.object.is_track and self.object.item["source"] == "auto"
        return "auto" if is_auto or not self.object.copies else "semi-auto"

    @cached_property
    def unwritten_frames(self) -> set[int]:
        """The frames on which the run writes nothing: those of ``kept`` keyframes and of the drawn shape."""
        return {*self.kept, *(copy.item["frame"] for copy in self.object.copies if copy.kind == SHAPE)}


def kept_keyframes(
    track: Mapping[str, Any], found: Mapping[int, Position | None], written: WrittenShapes
) -> dict[int, Mapping[str, Any]]:
    """The keyframes of a track that stay: all but those that runs wrote (``written``) where it was followed again.

    It was followed again between the first and the last frame of ``found``, also on frames that were deleted since and
    are therefore not in ``found``.
    """
    again = range(min(found), max(found) + 1) if found else range(0)
    return {key["frame"]: key for key in track["shapes"] if key["frame"] not in again or key not in written}


def borrowed_keyframes(
    one: Object,
    track: Mapping[str, Any] | None,
    frames: range,
    written: WrittenShapes,
    other_tracks: Sequence[Mapping[str, Any]],
) -> dict[int, Mapping[str, Any]]:
    """Keyframes for a job's track where people have the object in another job that shares these ``frames``.

    Without them, the object would seem lost there. Frames on which people have it in this job too get none, in its
    ``track`` or in ``other_tracks``, its tracks of other forms. Borrowed keyframes count as the run's, so that the next
    run looks at people's annotations anew.
    """
    held = held_values(one.item, one.frame)
    here = {key["frame"] for key in (track["shapes"] if track else ()) if key not in written}
    return {
        frame: keyframe(held, frame, position)
        for frame, position in one.by_people.items()
        if frame in frames and frame not in here and position is not None and position.form == one.form
        if all(position_at(other, frame) is None for other in other_tracks)
    }
