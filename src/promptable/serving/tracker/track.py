"""An object to be tracked, as a request brings it."""

from collections.abc import Sequence
from dataclasses import dataclass

from promptable.models.sam2.memory import Memory
from promptable.models.sam2.video_prompts import VideoPrompt
from promptable.wire.tracker import Shape, ShapeType, TrackState


@dataclass(frozen=True)
class NewTrack:
    """A person's drawing of an object, and the type of its answers. Without a ``prompt`` it is outside the picture."""

    drawn: Shape
    answered: ShapeType
    prompt: VideoPrompt | None


@dataclass(frozen=True)
class Correction:
    """A new shape that a person drew for a tracked object, and the ``prompt`` that the model gets for it."""

    prompt: VideoPrompt
    drawn: Shape


@dataclass(frozen=True)
class Track:
    """One object to be found on a frame. ``past`` are its memories; None if they have expired."""

    state: TrackState
    past: Sequence[Memory] | None
    correction: Correction | None

    @property
    def prompt(self) -> VideoPrompt | None:
        return None if self.correction is None else self.correction.prompt

    @property
    def drawn(self) -> Shape | None:
        return None if self.correction is None else self.correction.drawn
