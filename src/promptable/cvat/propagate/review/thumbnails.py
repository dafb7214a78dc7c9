"""An object in the part of a frame around it: where it is, and where it was."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.outlines import equidistant
from promptable.cvat.geometry.position import MASK, Position

SIZE = (240, 180)
_AROUND = 1.8
"""A side of what is shown, in sides of the object's box."""
_LEAST = 64
"""Pixels of the frame, across."""
_DASH = 5
_NOW, _BEFORE, _UNDER = (255, 212, 0), (255, 255, 255), (0, 0, 0)

Window = tuple[float, float, float, float]
"""The part that is shown, as left, top, right, bottom in pixels of the frame."""


def thumbnail(frame: Image.Image, now: Position | None, before: Position | None) -> Image.Image:
    """The object on a frame (RGB): yellow where it is, dashed where it was. One of the two is known."""
    shown = [position for position in (now, before) if position is not None]
    window = _window(np.array([position.box for position in shown]), frame.size)
    image = _cut(frame, window)
    if before is not None:
        _dashed(image, before, window)
    if now is not None and now.form == MASK:
        _tinted(image, now, window)
    elif now is not None:
        first, *others = _inside(now.outline, window)
        for colour, width in ((_UNDER, 4), (_NOW, 2)):
            ImageDraw.Draw(image).line([first, *others, first], colour, width, joint="curve")
    return image


def _cut(image: Image.Image, window: Window) -> Image.Image:
    left, top, right, bottom = map(round, window)
    return image.crop((left, top, right, bottom)).resize(SIZE, Image.Resampling.BILINEAR)


def _window(boxes: NDArray[np.float64], size: tuple[int, int]) -> Window:
    """Around boxes [N, 4], of the thumbnail's proportions, inside the frame as far as that goes."""
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    proportion = SIZE[1] / SIZE[0]
    width = max(_AROUND * (high[0] - low[0]), _AROUND * (high[1] - low[1]) / proportion, _LEAST)
    extent = np.array([width, width * proportion])
    corner = np.clip((low + high - extent) / 2, 0, np.maximum(0, np.array(size) - extent))
    left, top, right, bottom = (float(side) for side in (*corner, *(corner + extent)))
    return left, top, right, bottom


def _inside(outline: NDArray[np.float64], window: Window) -> list[tuple[float, float]]:
    """Points [N, 2] of the frame as points of the thumbnail."""
    scale = SIZE[0] / (window[2] - window[0])
    return [(float(x), float(y)) for x, y in (outline - window[:2]) * scale]


def _dashed(image: Image.Image, position: Position, window: Window) -> None:
    """The outline, the box of a mask."""
    left, top, right, bottom = position.box
    box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    outline = np.array(_inside(box if position.form == MASK else position.outline, window))
    length = float(np.linalg.norm(outline - np.roll(outline, -1, 0), axis=1).sum())
    points = [tuple(point) for point in equidistant(outline, max(4, 2 * round(length / _DASH / 2)))]
    draw = ImageDraw.Draw(image)
    for colour, width in ((_UNDER, 3), (_BEFORE, 1)):
        for begin, end in zip(points[::2], points[1::2], strict=True):
            draw.line([begin, end], fill=colour, width=width)


def _tinted(image: Image.Image, position: Position, window: Window) -> None:
    pixels, left, top = run_lengths.decode(position.points)
    begin, end = (window[0] - left, window[1] - top), (window[2] - left, window[3] - top)
    mask = _cut(Image.fromarray(pixels.astype(np.uint8) * 255), (*begin, *end))
    rim = ImageChops.subtract(mask.filter(ImageFilter.MaxFilter(5)), mask)
    image.paste(Image.blend(image, Image.new("RGB", SIZE, _NOW), 0.4), mask=mask)
    image.paste(_NOW, mask=rim)
