"""Masks on frames that two jobs share: they are written into one of the jobs only.

CVAT merges the boxes, polygons, tags and tracks of two jobs on such frames, but exports the masks of both.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from promptable.cvat.geometry.position import MASK, Placed, Position, position_of
from promptable.cvat.plural import ranges
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.frames import Frames

BESIDE = "the job beside it has them, and CVAT would export those of both"


class Seams:
    """Says which masks of a job another job has, or gets."""

    def __init__(self, client: Any, frames: Frames) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._frames = frames
        self._masks: dict[int, Mapping[int, Sequence[Placed]]] = {}

    def is_elsewhere(self, job: int, frame: int, label_id: int, mask: Position, written: Collection[int]) -> bool:
        """Whether a mask is not to be written into a job; ``written`` are the jobs that are written into.

        If two such jobs share the frame, the first one gets the mask. If the other job is not written into, but has a
        mask of the label there whose box overlaps it by half, none gets it. Raises CvatError.
        """
        showing = self._frames.seams.get(frame, ())
        if job not in showing:
            return False
        if job != next(one for one in showing if one in written):
            return True
        beside = (placed for one in showing if one not in written for placed in self._masks_of(one).get(frame, ()))
        return any(placed.is_double(label_id, mask) for placed in beside)

    def beside(self, job: int, unless: Collection[int] = ()) -> set[int]:
        """The frames of a job on which another job, not one of ``unless``, has masks. Raises CvatError."""
        return {
            frame
            for frame, showing in self._frames.seams.items()
            if job in showing and any(frame in self._masks_of(one) for one in showing if one not in (job, *unless))
        }

    def _masks_of(self, job: int) -> Mapping[int, Sequence[Placed]]:
        """The masks that a job had when it was first read, on the frames that it shares, by frame. Raises CvatError."""
        if job not in self._masks:
            self._masks[job] = by_frame = defaultdict(list)
            for shape in JobAnnotations(self._client, job).read()["shapes"]:
                if shape["type"] == MASK and shape["frame"] in self._frames.seams:
                    by_frame[shape["frame"]].append(Placed(shape["label_id"], position_of(shape)))
        return self._masks[job]


def told_elsewhere(of_job: tuple[int, Collection[int]]) -> str:
    """A sentence about the frames of a job whose masks another job has; ``of_job`` is (job, frames)."""
    job, frames = of_job
    return f"masks on frames {ranges(sorted(frames))} of job {job}, since {BESIDE}"
