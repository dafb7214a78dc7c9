"""Which objects on a tagged frame a run has followed through it already: there is nothing to follow anew.

People tag a frame to have followed what they have drawn or changed on it.
"""

from collections.abc import Iterable, Mapping, Sequence

from promptable.cvat.geometry.position import position_at
from promptable.cvat.propagate.content import TRACK
from promptable.cvat.propagate.journal import RunWrites
from promptable.cvat.propagate.objects import Copy
from promptable.cvat.server.annotations import Annotations


class AlreadyFollowed:
    """Looks into the ``annotations`` of each job, and knows the frames of each, ``ranges``."""

    def __init__(
        self, annotations: Mapping[int, Annotations], ranges: Mapping[int, range], run_writes: RunWrites
    ) -> None:
        self._annotations = annotations
        self._ranges = ranges
        self._run_writes = run_writes

    def through(self, copies: Sequence[Copy], frame: int, neighbours: Iterable[int]) -> bool:
        """Whether an object is on a frame as a run followed it, and is seen on all ``neighbours`` of the frame."""
        is_track = copies[0].kind == TRACK
        is_written = self._is_written(copies, frame) if is_track else self._run_writes.has(copies[0].item)
        return is_written and all(self._is_seen(copies, neighbour) for neighbour in neighbours)

    def _is_written(self, copies: Sequence[Copy], frame: int) -> bool:
        """Whether a track shows on a frame what a run wrote.

        It does if the frame's keyframe is a run's, in every job. If it has no keyframe, the one before it or the one
        after it must be a run's, and visible.
        """
        keys = [
            (int(key["frame"]), bool(key["outside"]), key in self._run_writes.keyframes(copy.item["id"]))
            for copy in copies
            for key in copy.item["shapes"]
        ]
        if there := [is_written for at, _, is_written in keys if at == frame]:
            return all(there)
        before, after = (at for at, *_ in keys if at < frame), (at for at, *_ in keys if at > frame)
        around = max(before), min(after, default=None)
        return any(is_written for at, outside, is_written in keys if at in around and not outside)

    def _is_seen(self, copies: Sequence[Copy], frame: int) -> bool:
        """Whether a track, or a shape of the same group in any job, is seen on a frame."""
        start = copies[0].item
        if copies[0].kind == TRACK:
            in_jobs = (copy for copy in copies if frame in self._ranges[copy.job])
            return any(position_at(copy.item, frame) is not None for copy in in_jobs)
        wanted = frame, start["group"], start["label_id"]
        shapes = (shape for in_job in self._annotations.values() for shape in in_job["shapes"])
        return any((one["frame"], one["group"], one["label_id"]) == wanted for one in shapes)
