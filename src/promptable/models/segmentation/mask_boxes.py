"""The boxes of masks, found where the masks are: whoever answers them then reads no pixel outside of these."""

import torch
from torch import Tensor

PixelBox = tuple[int, int, int, int]
"""A box x1, y1, x2, y2 of whole pixels of a picture; x2 and y2 are exclusive."""


def mask_boxes(masks: Tensor) -> Tensor:
    """The tight ``PixelBox`` of each mask, bool [..., H, W], as int64 [..., 4] on its device; zeros of an empty one."""
    pixels = masks.view(torch.uint8)  # whose maximum a CPU finds many times as fast as any() of bool
    columns, rows = pixels.amax(-2), pixels.amax(-1)
    boxes = torch.stack([_first(columns), _first(rows), _end(columns), _end(rows)], -1)
    return boxes * columns.amax(-1, keepdim=True)


def read_boxes(boxes: Tensor) -> list[PixelBox | None]:
    """Each of the boxes [N, 4] that ``mask_boxes`` returned; None of an empty mask."""
    return [None if x1 == x2 else (x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]


def _first(lines: Tensor) -> Tensor:
    """The index of the first 1 in each row of uint8 [..., L], which are 0 or 1."""
    return lines.argmax(-1)


def _end(lines: Tensor) -> Tensor:
    return lines.shape[-1] - _first(lines.flip(-1))
