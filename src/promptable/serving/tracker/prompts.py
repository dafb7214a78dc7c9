"""The prompt that starts a track: the shape that a person drew, or the last box of an object whose memory expired."""

import numpy as np

from promptable.models.sam2.video_prompts import BoxPrompt, MaskPrompt, VideoPrompt
from promptable.wire.fields import part_inside
from promptable.wire.shapes import Shape, ShapeType
from promptable.wire.state import TrackState


def prompt_of(shape: Shape, hw: tuple[int, int], field: str) -> VideoPrompt | None:
    """The prompt of a shape in a picture of ``hw``; None for a shape wholly outside the picture.

    A polygon too thin to have any pixel's centre in it is prompted by its box. Raises BadRequestError naming ``field``
    for an outline too long, as ``wire.masks.polygon_to_mask``.
    """
    if shape.type is ShapeType.RECTANGLE:
        xyxy = shape.to_xyxy(hw)
        return None if xyxy is None else BoxPrompt(xyxy)
    mask = shape.to_mask(hw, field)
    if mask is not None:
        return MaskPrompt(mask)
    return _box_of(shape, hw) if shape.type is ShapeType.POLYGON and shape.lies_in(hw) else None


def _box_of(polygon: Shape, hw: tuple[int, int]) -> BoxPrompt | None:
    xy = np.reshape(polygon.points, (-1, 2)).astype(np.float32)
    xyxy = part_inside(np.concatenate([xy.min(0), xy.max(0)]), hw)
    return None if xyxy is None else BoxPrompt(xyxy)


def last_box(state: TrackState, hw: tuple[int, int]) -> BoxPrompt | None:
    """The last box of an object as a prompt to start again from; None if the object was lost in the last answer, or its
    box is outside the picture of ``hw``."""
    if state.last_xyxy is None or state.outside:
        return None
    xyxy = part_inside(np.array(state.last_xyxy, np.float32), hw)
    return None if xyxy is None else BoxPrompt(xyxy)
