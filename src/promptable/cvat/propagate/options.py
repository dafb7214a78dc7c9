"""The options of a run. A resumed run must have the same ones."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal


class Direction(StrEnum):
    """The direction in which objects are followed from the first frame."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"

    @property
    def steps(self) -> tuple[int, ...]:
        """The directions of the passes: 1 is towards later frames, -1 towards earlier ones."""
        return {Direction.FORWARD: (1,), Direction.BACKWARD: (-1,), Direction.BOTH: (1, -1)}[self]


@dataclass(frozen=True)
class Options:
    """What is followed, from where to where, and in which form.

    - ``function`` is the tracker. ``job`` limits the run to one job.
    - ``first`` is the frame whose objects are followed, ``last`` the one where following ends. None: the outermost.
    - ``labels`` (names) and ``shapes`` (CVAT's ids of shapes and tracks) limit the objects. None: all.
    - ``form`` is the form of the answers: rectangle, polygon or mask. None: each object's own.
    - ``keyframe_iou`` is the least IoU of a track, between its keyframes, with what was tracked. None: 0.95 for
      rectangles, and a keyframe on every frame for polygons.
    - ``restart_at_keyframes`` goes on from where people have an object. Otherwise it ends there.
    - ``include`` lets the run write into jobs that were handed in.
    - ``detect`` is the detector that looks for new objects on the first and each ``every``-th frame: for ``words``,
      entries as in ``labels.yaml``, or, if None, for its own labels. ``detect`` None: no new objects.
    - ``tagged`` is the tag on the first frame. Objects that a run has followed through the frame are not followed anew.
    """

    function: str
    job: int | None = None
    first: int | None = None
    last: int | None = None
    direction: Direction = Direction.FORWARD
    labels: Sequence[str] | None = None
    shapes: Sequence[int] | None = None
    form: str | None = None
    keyframe_iou: float | None = None
    restart_at_keyframes: bool = False
    include: Literal["completed"] | None = None
    detect: str | None = None
    words: Sequence[Mapping[str, Any]] | None = None
    every: int | None = None
    tagged: str | None = None

    @property
    def only_backward(self) -> bool:
        """Whether objects are followed towards earlier frames only."""
        return self.direction is Direction.BACKWARD

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps them."""
        return asdict(self)


def wrong_way(first: int, last: int, step: int) -> str | None:
    """Why following from ``first`` in the direction ``step``, 1 or -1, cannot end at ``last``; None if it can."""
    if (last - first) * step >= 0:
        return None
    if step > 0:
        return f"--to {last} lies before --from {first}: --backward follows towards earlier frames"
    return f"--to {last} lies behind --from {first}: without --backward later frames are followed"
