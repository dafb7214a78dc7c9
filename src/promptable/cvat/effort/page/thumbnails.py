"""Thumbnails of a frame, or of its part around a track, before and after people have corrected it."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from promptable.cvat.effort.judging.tracks import Correction
from promptable.cvat.effort.judging.verdicts import Judged, Verdict
from promptable.cvat.effort.page.colours import COLOURS
from promptable.cvat.geometry import run_lengths
from promptable.cvat.geometry.position import MASK, Position
from promptable.cvat.pages.pictures import LARGEST, Window, around, shown
from promptable.cvat.server.errors import CvatError

LONGEST = 400
"""Pixels of the longer side, also of small pictures: forty pictures stay below 5 MB, even if they are noise."""
_LINE = 3
_VEIL = 0.35
"""How opaque a mask is inside its rim."""
_GRAY = (128, 128, 128)


def before_and_after(data: bytes, hw: tuple[int, int], judged: Iterable[Judged]) -> tuple[Image.Image, Image.Image]:
    """A frame with what a run wrote on it, and with what is there now; on gray if ``data`` is no picture."""
    whole = (0.0, 0.0, float(hw[1]), float(hw[0]))
    before = _part(data, hw, whole)
    after = before.copy()
    for one in sorted(judged, key=lambda one: one.verdict is not Verdict.UNCHANGED):
        _draw(before, one.before, whole, COLOURS[one.verdict])
        _draw(after, one.after, whole, COLOURS[one.verdict])
    return before, after


def track_before_and_after(
    data: bytes, hw: tuple[int, int], one: Correction, verdict: Verdict
) -> tuple[Image.Image, Image.Image]:
    """As ``before_and_after``, for the part of a frame around where a track was and is."""
    boxes = [place.box for place in (one.before, one.after) if place is not None]
    window = around(np.array(boxes), (hw[1], hw[0]), hw[0] / hw[1])
    before = _part(data, hw, window)
    after = before.copy()
    _draw(before, one.before, window, COLOURS[verdict])
    _draw(after, one.after, window, COLOURS[verdict])
    return before, after


def _part(data: bytes, hw: tuple[int, int], window: Window) -> Image.Image:
    height, width = (max(round(side * LONGEST / max(hw)), 1) for side in hw)
    left, top, right, bottom = map(round, window)
    try:
        part = shown(data, LARGEST, hw)[1].crop((left, top, right, bottom))
    except CvatError:
        return Image.new("RGB", (width, height), _GRAY)
    return part.resize((width, height), Image.Resampling.LANCZOS)


def _draw(image: Image.Image, place: Position | None, window: Window, colour: str) -> None:
    if place is None:
        return
    corner = np.array(window[:2])
    scale = np.array(image.size) / (np.array(window[2:]) - corner)
    if place.form == MASK:
        _veil(image, place, corner, scale, colour)
        return
    corners = [(float(x), float(y)) for x, y in (place.outline - corner) * scale]
    ImageDraw.Draw(image).line([*corners, corners[0]], fill=colour, width=_LINE, joint="curve")


def _veil(
    image: Image.Image, place: Position, corner: NDArray[np.float64], scale: NDArray[np.float64], colour: str
) -> None:
    """Draw a translucent mask with an opaque rim; nothing if the mask is broken."""
    try:
        pixels, _, _ = run_lengths.decode(place.points)
    except ValueError:
        return
    left, top, right, bottom = (round(float(side)) for side in (place.box - np.tile(corner, 2)) * np.tile(scale, 2))
    size = (max(right - left, 1), max(bottom - top, 1))
    mask = Image.fromarray(pixels.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    rim = ImageChops.subtract(mask, mask.filter(ImageFilter.MinFilter(5)))
    for opaque in (mask.point(lambda value: value * _VEIL), rim):
        image.paste(colour, (left, top), opaque)
