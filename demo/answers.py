"""Answered shapes as drawings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.pictures import Drawing, Image, Mask, overlay
from promptable.wire.masks import mask_to_xyxy, polygon_to_mask, rle_to_mask
from toy.scenes import Scene


def drawing_of(shape: Mapping[str, Any] | None, hw: tuple[int, int]) -> Drawing:
    """A shape of the detector (with label and confidence) or of the tracker on a picture of ``hw``; None is nothing."""
    if shape is None:
        return Drawing()
    text = f"{shape['label']} {shape['confidence']:.2f}" if "label" in shape else ""
    if shape["type"] == "rectangle":
        return Drawing(xyxy=np.array(shape["points"], np.float32), text=text)
    if shape["type"] == "polygon":
        return Drawing(mask=polygon_to_mask(shape["points"], hw), text=text)
    return Drawing(mask=_mask_of(shape, hw), text=text)


def box_of(drawing: Drawing) -> NDArray[np.float32]:
    """The drawing's box, or the box of its mask: xyxy float32 [4]; zeros where there is neither."""
    if drawing.xyxy is not None:
        return drawing.xyxy
    if drawing.mask is not None and drawing.mask.any():
        return mask_to_xyxy(drawing.mask)
    return np.zeros(4, np.float32)


def truth(scene: Scene) -> Image:
    """The scene with its true masks and labels."""
    return overlay(scene.image, [Drawing(mask=thing.mask, text=thing.label) for thing in scene.objects])


def _mask_of(shape: Mapping[str, Any], hw: tuple[int, int]) -> Mask:
    """The detector's flattened crop under ``mask``, or the tracker's run lengths under ``points``."""
    if "mask" not in shape:
        return rle_to_mask(shape["points"], hw)
    *crop, left, top, right, bottom = shape["mask"]
    mask = np.zeros(hw, bool)
    mask[top : bottom + 1, left : right + 1] = np.reshape(crop, (bottom - top + 1, right - left + 1))
    return mask
