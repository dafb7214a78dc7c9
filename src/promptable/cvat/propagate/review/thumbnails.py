"""An object in the part of a frame around it: where it is, and where it was."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.outlines import equidistant
from promptable.cvat.geometry.position import MASK, Position
from promptable.cvat.pages.pictures import Window, around

SIZE = (240, 180)
"""At most; less of a frame that is narrower or flatter than that."""
_DASH = 5
_NOW, _BEFORE, _UNDER = (255, 212, 0), (255, 255, 255), (0, 0, 0)


def thumbnail(frame: Image.Image, now: Position | None, before: Position | None) -> Image.Image:
    """The object on a frame (RGB): yellow where it is, dashed where it was. One of the two is known."""
    shown = [position for position in (now, before) if position is not None]
    window = around(np.array([position.box for position in shown]), frame.size, SIZE[1] / SIZE[0])
    image = _cut(frame, window)
    if before is not None:
        _dashed(image, before, window)
    if now is not None and now.form == MASK:
        _tinted(image, now, window)
    elif now is not None:
        first, *others = _in_window(now.outline, window)
        for colour, width in ((_UNDER, 4), (_NOW, 2)):
            ImageDraw.Draw(image).line([first, *others, first], colour, width, joint="curve")
    return image


def _cut(image: Image.Image, window: Window) -> Image.Image:
    left, top, right, bottom = map(round, window)
    return image.crop((left, top, right, bottom)).resize(_size(window), Image.Resampling.BILINEAR)


def _size(window: Window) -> tuple[int, int]:
    """Width and height of the thumbnail, in ``SIZE``."""
    width, height = window[2] - window[0], window[3] - window[1]
    return max(1, round(width * _scale(window))), max(1, round(height * _scale(window)))


def _scale(window: Window) -> float:
    return min(SIZE[0] / (window[2] - window[0]), SIZE[1] / (window[3] - window[1]))


def _in_window(outline: NDArray[np.float64], window: Window) -> list[tuple[float, float]]:
    """Points [N, 2] of the frame as points of the thumbnail."""
    return [(float(x), float(y)) for x, y in (outline - window[:2]) * _scale(window)]


def _dashed(image: Image.Image, position: Position, window: Window) -> None:
    """The outline, the box of a mask."""
    left, top, right, bottom = position.box
    box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    outline = np.array(_in_window(box if position.form == MASK else position.outline, window))
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
    image.paste(Image.blend(image, Image.new("RGB", image.size, _NOW), 0.4), mask=mask)
    image.paste(_NOW, mask=rim)
