"""An object to be tracked, as a request brings it."""

from collections.abc import Sequence
from dataclasses import dataclass

from promptable.models.sam2.memory import Memory
from promptable.models.sam2.video_prompts import VideoPrompt
from promptable.wire.shapes import Shape, ShapeType
from promptable.wire.state import TrackState


@dataclass(frozen=True)
class Drawing:
    """A shape that a person drew around an object, and the prompt that the model gets for it; None for a shape outside
    the picture."""

    shape: Shape
    prompt: VideoPrompt | None


@dataclass(frozen=True)
class NewTrack:
    """A new object, and the type of its answers."""

    drawing: Drawing
    answered: ShapeType


@dataclass(frozen=True)
class Track:
    """One object to be found on a frame, or ``drawing`` if a person has drawn it there. ``past`` are its memories; None
    if they have expired."""

    state: TrackState
    past: Sequence[Memory] | None
    drawing: Drawing | None

    @property
    def prompt(self) -> VideoPrompt | None:
        return None if self.drawing is None else self.drawing.prompt
