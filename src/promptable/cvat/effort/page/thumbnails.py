"""A frame before and after people corrected it, drawn small."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from promptable.cvat.effort.page.colours import COLOURS
from promptable.cvat.effort.verdicts import Judged, Verdict
from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.position import MASK, Position
from promptable.cvat.pages.pictures import shown
from promptable.cvat.server.errors import CvatError

LONGEST = 400
"""Pixels of the longer side, of small pictures too: forty of them, of noise at that, stay under 5 MB."""
_LINE = 3
_VEIL = 0.35
"""How opaque a mask is inside its rim."""
_GRAY = (128, 128, 128)


def before_and_after(data: bytes, hw: tuple[int, int], judged: Iterable[Judged]) -> tuple[Image.Image, Image.Image]:
    """What a run wrote and what is there now, on the frame; on gray where its bytes are no picture."""
    before, after = _blank(data, hw), _blank(data, hw)
    for one in sorted(judged, key=lambda one: one.verdict is not Verdict.UNCHANGED):
        for image, place in ((before, one.before), (after, one.after)):
            if place is not None:
                _draw(image, place, hw, COLOURS[one.verdict])
    return before, after


def _blank(data: bytes, hw: tuple[int, int]) -> Image.Image:
    height, width = (max(round(side * LONGEST / max(hw)), 1) for side in hw)
    try:
        return shown(data, LONGEST, hw)[1].resize((width, height), Image.Resampling.LANCZOS)
    except CvatError:
        return Image.new("RGB", (width, height), _GRAY)


def _draw(image: Image.Image, place: Position, hw: tuple[int, int], colour: str) -> None:
    scale = np.array([image.width / hw[1], image.height / hw[0]])
    if place.form == MASK:
        _veil(image, place, scale, colour)
        return
    corners = [(float(x), float(y)) for x, y in place.outline * scale]
    ImageDraw.Draw(image).line([*corners, corners[0]], fill=colour, width=_LINE, joint="curve")


def _veil(image: Image.Image, place: Position, scale: NDArray[np.float64], colour: str) -> None:
    """A mask, through which the picture is seen."""
    try:
        pixels, _, _ = run_lengths.decode(place.points)
    except ValueError:
        return
    left, top, right, bottom = (round(float(side)) for side in place.box * np.tile(scale, 2))
    size = (max(right - left, 1), max(bottom - top, 1))
    mask = Image.fromarray(pixels.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    rim = ImageChops.subtract(mask, mask.filter(ImageFilter.MinFilter(5)))
    for opaque in (mask.point(lambda value: value * _VEIL), rim):
        image.paste(colour, (left, top), opaque)
