"""What runs have followed through a frame: where people tag it, they mean what they have drawn or changed there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptable.cvat.geometry.position import position_at
from promptable.cvat.propagate.content import TRACK
from promptable.cvat.propagate.journal import Ours
from promptable.cvat.propagate.objects import Copy


class Followed:
    """``held`` are annotations by job, ``ranges`` the frames of each."""

    def __init__(self, held: Mapping[int, Mapping[str, Any]], ranges: Mapping[int, range], ours: Ours) -> None:
        self._held = held
        self._ranges = ranges
        self._ours = ours

    def goes_through(self, copies: Sequence[Copy], frame: int, neighbours: Iterable[int]) -> bool:
        """Whether an object is on a frame as a run followed it, and is seen on all of ``neighbours``."""
        is_a_runs = self._is_a_runs_track(copies, frame) if copies[0].kind == TRACK else self._ours.has(copies[0].item)
        return is_a_runs and all(self._is_seen(copies, neighbour) for neighbour in neighbours)

    def _is_a_runs_track(self, copies: Sequence[Copy], frame: int) -> bool:
        """Whether the keyframe of a frame is a run's in each job; without one there, any of the two around it that does
        not hide it."""
        keys = [
            (int(key["frame"]), bool(key["outside"]), key in self._ours.keyframes(copy.item["id"]))
            for copy in copies
            for key in copy.item["shapes"]
        ]
        if there := [is_a_runs for at, _, is_a_runs in keys if at == frame]:
            return all(there)
        before, after = (at for at, *_ in keys if at < frame), (at for at, *_ in keys if at > frame)
        around = max(before), min(after, default=None)
        return any(is_a_runs for at, outside, is_a_runs in keys if at in around and not outside)

    def _is_seen(self, copies: Sequence[Copy], frame: int) -> bool:
        """Whether a track, or a shape's group in whatever job, is seen on a frame."""
        start = copies[0].item
        if copies[0].kind == TRACK:
            there = (copy for copy in copies if frame in self._ranges[copy.job])
            return any(position_at(copy.item, frame) is not None for copy in there)
        wanted = frame, start["group"], start["label_id"]
        shapes = (shape for held in self._held.values() for shape in held["shapes"])
        return any((one["frame"], one["group"], one["label_id"]) == wanted for one in shapes)
