"""Masks on frames that two jobs show: CVAT joins boxes, polygons, tags and tracks of the two, and exports both masks.

So a mask is written into one of them alone.
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
    """Says which masks another job of the task is to have, or has."""

    def __init__(self, client: Any, frames: Frames) -> None:
        """``client`` is cvat-sdk's."""
        self._client = client
        self._frames = frames
        self._masks: dict[int, Mapping[int, Sequence[Placed]]] = {}

    def is_elsewhere(self, job: int, frame: int, label_id: int, mask: Position, written: Collection[int]) -> bool:
        """Whether a mask that is for a job belongs into another one; ``written`` are the jobs that it is for.

        The first of these gets it, and none of them what the job beside them holds already: a mask of its label whose
        box overlaps it by half. Raises CvatError.
        """
        showing = self._frames.seams.get(frame, ())
        if job not in showing:
            return False
        if job != next(one for one in showing if one in written):
            return True
        beside = (placed for one in showing if one not in written for placed in self._held(one).get(frame, ()))
        return any(placed.is_double(label_id, mask) for placed in beside)

    def beside(self, job: int, unless: Collection[int] = ()) -> set[int]:
        """The frames of a job on which one beside it, other than ``unless``, holds a mask. Raises CvatError."""
        return {
            frame
            for frame, showing in self._frames.seams.items()
            if job in showing and any(frame in self._held(one) for one in showing if one not in (job, *unless))
        }

    def _held(self, job: int) -> Mapping[int, Sequence[Placed]]:
        """The masks that a job held when it was first asked about, by frame, of those that another shows too."""
        if job not in self._masks:
            self._masks[job] = by_frame = defaultdict(list)
            for shape in JobAnnotations(self._client, job).read()["shapes"]:
                if shape["type"] == MASK and shape["frame"] in self._frames.seams:
                    by_frame[shape["frame"]].append(Placed(shape["label_id"], position_of(shape)))
        return self._masks[job]


def told_elsewhere(of_job: tuple[int, Collection[int]]) -> str:
    """In a sentence, on which frames of a job its masks are in the job beside it."""
    job, frames = of_job
    return f"masks on frames {ranges(sorted(frames))} of job {job}, since {BESIDE}"
