"""The prompt that starts a track: the shape that a person drew, or the last box of an object whose memory expired."""

import numpy as np

from promptable.models.sam2.video_prompts import BoxPrompt, MaskPrompt, VideoPrompt
from promptable.wire.fields import part_inside
from promptable.wire.shapes import Shape, ShapeType
from promptable.wire.state import TrackState


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
