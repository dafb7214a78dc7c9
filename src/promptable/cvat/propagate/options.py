"""What a person asks of a run; a resumed run must ask the same."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal


class Direction(StrEnum):
    """Where the first frame lies in what is followed."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"

    @property
    def steps(self) -> tuple[int, ...]:
        """1 for towards later frames, -1 for towards earlier ones."""
        return {Direction.FORWARD: (1,), Direction.BACKWARD: (-1,), Direction.BOTH: (1, -1)}[self]


@dataclass(frozen=True)
class Options:
    """``first`` is the frame that objects are taken from, ``last`` the one where following ends; None: the outermost.

    ``labels`` are names and ``shapes`` ids of shapes and tracks in CVAT, None for all. ``form`` is rectangle, polygon
    or mask, None for what was drawn. ``keyframe_iou`` None keeps polygons on every frame, rectangles within 0.95.
    ``detect`` names the detector that looks for ``words``, entries as in ``labels.yaml``, or for what it is deployed
    with, on the first and each ``every``-th frame; None without one. ``tagged`` is the tag of the first frame: what
    runs have followed through it goes on as it is.
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
    """Jobs that are left alone otherwise."""
    detect: str | None = None
    words: Sequence[Mapping[str, Any]] | None = None
    every: int | None = None
    tagged: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps them."""
        return asdict(self)


def wrong_way(first: int, last: int, step: int) -> str | None:
    """Why ``last`` cannot end what goes on from ``first`` by ``step``, 1 or -1; None where it can."""
    if (last - first) * step >= 0:
        return None
    if step > 0:
        return f"--to {last} lies before --from {first}: --backward follows towards earlier frames"
    return f"--to {last} lies behind --from {first}: without --backward later frames are followed"
