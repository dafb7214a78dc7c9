"""Which frames count as reviewed: those of completed jobs, or those that ``--reviewed`` names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptable.cvat.annotate.options import parse_frames
from promptable.cvat.server.frames import Frames, text_of

COMPLETED, ALL = "completed", "all"
"""CVAT's state of a completed job, and the word for all frames."""


@dataclass(frozen=True)
class Reviewed:
    """The reviewed frames: ``named`` ones, by their numbers in the task, or, if None, those of completed jobs."""

    named: Sequence[range] | None = None

    @classmethod
    def parse(cls, text: str | None) -> "Reviewed":
        """Read ``--reviewed``: ``all``, frames such as ``0-99,120,200-``, or None. Raises ValueError."""
        if text is None:
            return cls()
        return cls([range(2**62)] if text == ALL else parse_frames(text))

    def has(self, job: Any, frame: int) -> bool:
        """Whether people have looked at this frame of a job (cvat-sdk's)."""
        if self.named is None:
            return text_of(job.state) == COMPLETED
        return any(frame in one for one in self.named)

    def __str__(self) -> str:
        return "the frames of completed jobs" if self.named is None else "the frames that --reviewed names"


def reviewed_frames(frames: Frames, job: Any, reviewed: Reviewed) -> set[int]:
    """The frames of a job that people have looked at and that are not deleted."""
    shown = frames.shown_in(job)
    return {frame for frame in frames.numbers if frame in shown and reviewed.has(job, frame)}
