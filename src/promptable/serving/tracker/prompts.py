"""What a track starts from: the shape that somebody drew, or the last box of one whose memory is gone."""

import numpy as np

from promptable.models.sam2.video_tracker import BoxPrompt, MaskPrompt, VideoPrompt
from promptable.wire.fields import part_inside
from promptable.wire.tracker import Shape, ShapeType, TrackState, lost_rectangle, shape_of_mask


def prompt_of(shape: Shape, hw: tuple[int, int], field: str) -> VideoPrompt | None:
    """What the model starts from in a picture of ``hw``; None for a shape without anything inside.

    Raises BadRequestError naming ``field`` for an outline too long to be meant.
    """
    if shape.type is ShapeType.RECTANGLE:
        xyxy = shape.to_xyxy(hw)
        return None if xyxy is None else BoxPrompt(xyxy)
    mask = shape.to_mask(hw, field)
    return None if mask is None else MaskPrompt(mask)


def last_box(state: TrackState, hw: tuple[int, int]) -> BoxPrompt | None:
    """The box to start again from in a picture of ``hw``; None for an object that was lost, which is not there."""
    if state.last_xyxy is None or state.outside:
        return None
    xyxy = part_inside(np.array(state.last_xyxy, np.float32), hw)
    return None if xyxy is None else BoxPrompt(xyxy)


def drawn_inside(shape: Shape, prompt: VideoPrompt | None, hw: tuple[int, int], tolerance: float) -> Shape | None:
    """A shape as it was drawn, but for what lies outside the picture of ``hw``; ``prompt`` is the shape's.

    Of one wholly outside a rectangle is at the nearest border and outside, any other None. ``tolerance`` in pixels is
    for a polygon that is cut.
    """
    match prompt:
        case None:
            return lost_rectangle(shape.xyxy, hw) if shape.type is ShapeType.RECTANGLE else None
        case BoxPrompt():
            return Shape(shape.type, tuple(prompt.xyxy.tolist()))
        case MaskPrompt():
            return shape if shape.lies_in(hw) else shape_of_mask(prompt.mask, shape.type, tolerance)
