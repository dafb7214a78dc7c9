"""The prompt that starts a track: the shape that a person drew, or the last box of an object whose memory expired."""

import numpy as np

from promptable.models.sam2.video_prompts import BoxPrompt, MaskPrompt, VideoPrompt
from promptable.wire.fields import part_inside
from promptable.wire.tracker import Shape, ShapeType, TrackState, lost_rectangle, shape_of_mask


def prompt_of(shape: Shape, hw: tuple[int, int], field: str) -> VideoPrompt | None:
    """The prompt of a shape in a picture of ``hw``; None for a shape wholly outside the picture.

    Raises BadRequestError naming ``field`` for an outline too long, as ``wire.masks.polygon_to_mask``.
    """
    if shape.type is ShapeType.RECTANGLE:
        xyxy = shape.to_xyxy(hw)
        return None if xyxy is None else BoxPrompt(xyxy)
    mask = shape.to_mask(hw, field)
    return None if mask is None else MaskPrompt(mask)


def last_box(state: TrackState, hw: tuple[int, int]) -> BoxPrompt | None:
    """The last box of an object as a prompt to start again from; None if the object was lost in the last answer, or its
    box is outside the picture of ``hw``."""
    if state.last_xyxy is None or state.outside:
        return None
    xyxy = part_inside(np.array(state.last_xyxy, np.float32), hw)
    return None if xyxy is None else BoxPrompt(xyxy)


def drawn_inside(shape: Shape, prompt: VideoPrompt | None, hw: tuple[int, int], tolerance: float) -> Shape | None:
    """The part of a drawn shape inside the picture of ``hw``; ``prompt`` is the result of ``prompt_of`` for the shape.

    A rectangle wholly outside the picture becomes one pixel at the nearest border, marked ``outside``; any other shape
    wholly outside becomes None. A polygon that must be cut may differ from the drawn one by ``tolerance`` pixels.
    """
    match prompt:
        case None:
            return lost_rectangle(shape.xyxy, hw) if shape.type is ShapeType.RECTANGLE else None
        case BoxPrompt():
            return Shape(shape.type, prompt.xyxy.astype(np.float64))
        case MaskPrompt():
            return shape if shape.lies_in(hw) else shape_of_mask(prompt.mask, shape.type, tolerance)
