"""When two answers are the same on different machines: forms and texts equal, scores, boxes and pixels nearly."""

import math
import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SCORE = 1e-4
PIXELS = 0.05
"""Of a box's corner, which follows from numbers like those of the scores, times the size of the picture."""
IOU = 0.999

_COORDINATE = re.compile(r"\.(points|box|shapes)(\[\d+])+$")
_CANVAS = (400, 400)
"""Height and width that hold every picture of the sessions."""


def assert_alike(got: Any, wanted: Any, where: str = "answer") -> None:
    """Raise AssertionError, naming the place, where two parsed answers differ by more than machines may."""
    match wanted:
        case dict():
            assert isinstance(got, dict), f"{where}: {got!r}"
            assert list(got) == list(wanted), where
            drawn = _drawings(wanted)
            _assert_same_pixels(_drawings(got), drawn, where)
            for key in wanted if not drawn else set(wanted) - {"mask", "points"}:
                assert_alike(got[key], wanted[key], f"{where}.{key}")
        case list():
            assert isinstance(got, list), where
            assert len(got) == len(wanted), where
            for index, pair in enumerate(zip(got, wanted, strict=True)):
                assert_alike(*pair, f"{where}[{index}]")
        case _:
            _assert_same_value(got, wanted, where)


def _assert_same_value(got: Any, wanted: Any, where: str) -> None:
    assert type(got) is type(wanted), f"{where}: {got!r} instead of {wanted!r}"
    near = PIXELS if _COORDINATE.search(where) else SCORE
    close = _is_number(wanted) and math.isclose(float(got), float(wanted), abs_tol=near)
    assert got == wanted or close, f"{where}: {got!r} instead of {wanted!r}"


def _assert_same_pixels(got: list[NDArray[np.bool_]], wanted: list[NDArray[np.bool_]], where: str) -> None:
    for one, other in zip(got, wanted, strict=True):
        iou = int(np.count_nonzero(one & other)) / max(1, int(np.count_nonzero(one | other)))
        assert iou >= IOU or not (one | other).any(), f"{where}: mask IoU {iou:.5f}"


def _drawings(shape: dict[str, Any]) -> list[NDArray[np.bool_]]:
    """What a shape says of pixels, bool [H, W] each: its mask, its outline, or both; nothing for anything else."""
    match shape:
        case {"type": "mask", "mask": [*bits, left, top, right, bottom], "points": outline}:
            return [_placed(np.array(bits), left, top, right, bottom), _filled(outline)]
        case {"type": "mask", "points": [*runs, left, top, right, bottom]}:
            return [_placed(np.repeat(np.arange(len(runs)) % 2, runs), left, top, right, bottom)]
        case {"type": "polygon", "points": outline}:
            return [_filled(outline)]
        case {"mask": rows, "points": outline}:
            return [np.array(rows, bool), _filled(np.ravel(outline).tolist())]
    return []


def _placed(bits: NDArray[np.integer], left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
    assert np.isin(bits, (0, 1)).all(), "a mask of more than 0 and 1"
    canvas = np.zeros(_CANVAS, np.bool_)
    canvas[top : bottom + 1, left : right + 1] = bits.reshape(bottom - top + 1, right - left + 1)
    return canvas


def _filled(outline: Sequence[float]) -> NDArray[np.bool_]:
    canvas = np.zeros(_CANVAS, np.uint8)
    if outline:
        cv2.fillPoly(canvas, [np.array(outline).reshape(-1, 2).round().astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def _is_number(value: object) -> bool:
    """Also a number in a text, as the scores of attributes are."""
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
