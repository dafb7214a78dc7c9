"""The answer for one object: its shape on a frame, and the state for its next request."""

from dataclasses import replace

from promptable.wire.shapes import Shape, ShapeType, lost_rectangle
from promptable.wire.state import TrackState

Answer = tuple[Shape | None, TrackState | None]


def answer(state: TrackState, shape: Shape | None, hw: tuple[int, int]) -> Answer:
    """For an object with this shape in a frame of ``hw``, None if it is lost; ``state`` has the frame's step."""
    if shape is None:
        return _lost(state, hw), replace(state, outside=True)
    return shape, replace(state, last_xyxy=shape.xyxy, outside=False)


def absent(state: TrackState, hw: tuple[int, int]) -> Answer:
    """For a lost object without memories, of which only the last box is known."""
    shape = _lost(state, hw)
    return shape, None if shape is None else replace(state, step=0, memories=(), outside=True)


def _lost(state: TrackState, hw: tuple[int, int]) -> Shape | None:
    """The shape of a lost object: for a rectangle its last box, marked ``outside``; None for a mask or polygon.

    Rectangles must not be None: CVAT's own sidebar, which tracks only rectangles, fails on None.
    """
    if state.shape_type is not ShapeType.RECTANGLE or state.last_xyxy is None:
        return None
    return lost_rectangle(state.last_xyxy, hw)
