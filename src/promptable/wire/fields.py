"""Reading the values of a request. Errors name the field, what was expected and what the request contained."""

from typing import TypeGuard

import numpy as np
import orjson
from numpy.typing import NDArray

from promptable.errors import BadRequestError

COORDINATE_LIMIT = 1e6
"""Largest magnitude of a coordinate, in pixels: far beyond any picture, small enough for exact arithmetic."""

_SHOWN = 40


def expected(field: str, what: str, got: object) -> BadRequestError:
    """The error to raise when ``field`` holds ``got`` instead of ``what``."""
    return BadRequestError(f"{field}: expected {what}, got {describe(got)}")


def describe(value: object) -> str:
    """A short description of a value for an error message; it quotes no more than a short piece of the value."""
    match value:
        case None:
            return "nothing (absent or null)"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_shortened(repr(value))}"
        case str():
            return f"a text of {len(value)} characters, {_shortened(repr(value[:_SHOWN]))}"
        case bytes() | bytearray():
            return f"{len(value)} bytes that begin with {bytes(value[:12])!r}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return f"an object with the keys {_shortened(', '.join(map(str, list(value)[:8])))!r}"
    return f"a Python {type(value).__name__}"


def read_object(body: object) -> dict[str, object]:
    """The request as a dict. Where its content type is not exactly JSON, Nuclio passes bytes or text, parsed here."""
    if isinstance(body, bytes | bytearray | str):
        try:
            parsed: object = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequestError(f"body: expected a JSON object, got {describe(body)}: {error}") from error
    else:
        parsed = body
    return as_object("body", parsed)


def as_object(field: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise expected(field, "a JSON object", value)
    return value


def as_list(field: str, value: object, most: int, least: int = 0) -> list[object]:
    """A list of ``least`` to ``most`` items."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        raise expected(field, f"a list of {count} items", value)
    return value


def as_text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise expected(field, "a text", value)
    return value


def as_integer(field: str, value: object, low: int, high: int) -> int:
    """An integer in [low, high]; 3.0 is accepted, true is not."""
    if _is_number(value, low, high) and value == int(value):
        return int(value)
    raise expected(field, f"an integer from {low} to {high}", value)


def as_number(field: str, value: object, low: float, high: float) -> float:
    """A finite number in [low, high]. Texts, booleans, NaN and Infinity are refused."""
    if _is_number(value, low, high):
        return float(value)
    raise _no_number(field, value, low, high)


def as_numbers(
    field: str, value: object, most: int, least: int = 0, limit: float = COORDINATE_LIMIT
) -> NDArray[np.float64]:
    """``least`` to ``most`` finite numbers of magnitude up to ``limit``, float64 [N]."""
    items = as_list(field, value, most, least)
    for index, item in enumerate(items):
        if not _is_number(item, -limit, limit):
            raise _no_number(f"{field}[{index}]", item, -limit, limit)
    return np.array(items, np.float64)


def as_pairs(field: str, value: object, most: int) -> NDArray[np.float32]:
    """``[[x, y], ...]`` of up to ``most`` points, float32 [N, 2]; [0, 2] if the field is absent or null."""
    pairs = [] if value is None else as_list(field, value, most)
    rows = [as_numbers(f"{field}[{index}]", pair, most=2, least=2) for index, pair in enumerate(pairs)]
    return np.array(rows, np.float32).reshape(-1, 2)


def as_xyxy(field: str, corners: NDArray[np.floating]) -> NDArray[np.float32]:
    """The box x1, y1, x2, y2, float32 [4], of any two opposite corners ``x, y, x, y``; x1 < x2, y1 < y2.

    Raises BadRequestError for a box without an area.
    """
    x1, x2 = sorted(corners[0::2].tolist())
    y1, y2 = sorted(corners[1::2].tolist())
    xyxy = np.array([x1, y1, x2, y2], np.float32)
    if xyxy[0] < xyxy[2] and xyxy[1] < xyxy[3]:
        return xyxy
    raise BadRequestError(
        f"{field}: expected a box with an area, got the corners ({x1:g}, {y1:g}) and ({x2:g}, {y2:g})"
    )


def clipped_xyxy(field: str, xyxy: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32]:
    """The part of a box inside the picture, float32 [4]. Raises BadRequestError for a box wholly outside."""
    inside = part_inside(xyxy, hw)
    if inside is None:
        raise BadRequestError(f"{field}: expected a box inside the {hw[1]} x {hw[0]} picture, got {xyxy.tolist()}")
    return inside


def part_inside(xyxy: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32] | None:
    """The part of a box inside the picture, float32 [4]; None for a box wholly outside."""
    height, width = hw
    inside = np.clip(xyxy, 0, np.array([width, height, width, height], np.float32))
    return inside if inside[0] < inside[2] and inside[1] < inside[3] else None


def _is_number(value: object, low: float, high: float) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _no_number(field: str, value: object, low: float, high: float) -> BadRequestError:
    return expected(field, f"a number from {low:.10g} to {high:.10g}", value)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."
