"""The state of one tracked object, which travels through CVAT and the browser: small, and checked like any input."""

import re
from dataclasses import dataclass

import numpy as np

from promptable.wire.answers import corners
from promptable.wire.fields import as_integer, as_list, as_numbers, as_object, as_text, as_xyxy, expected
from promptable.wire.shapes import ShapeType

MOST_MEMORIES = 32
_VERSION = 3
_LARGEST_STEP = 1_000_000_000
_MODEL = re.compile(r"[0-9a-z.-]{1,64}", re.ASCII)
_MEMORY_ID = re.compile(r"[0-9A-Za-z_-]{16,22}", re.ASCII)


@dataclass(frozen=True)
class MemoryName:
    """The name of one stored memory; ``id`` has 16 to 22 url-safe characters.

    ``features``: whether the next step uses its features and its pointer, or only its pointer.
    """

    id: str
    step: int
    features: bool


@dataclass(frozen=True)
class TrackState:
    """What the tracker needs to find one object on the next frame.

    ``model``: the model's fingerprint, 1 to 64 characters of 0-9 a-z . -; ``bare``: whether CVAT sends and expects bare
    ``[l, t, r, b]`` rectangles; ``step``: the number of frames since the start, whose step is 0; ``memories``: the
    names of the object's 1 to 32 memories, oldest first, or none for a rectangle that is outside and has no memory;
    ``last_xyxy``: the object's last box, ordered, in picture pixels, which is the answer for a rectangle while its
    object is lost (None only for masks and polygons: not found yet); ``outside``: whether the object was lost in the
    last answer.
    """

    model: str
    shape_type: ShapeType
    bare: bool
    step: int
    memories: tuple[MemoryName, ...]
    last_xyxy: tuple[float, float, float, float] | None = None
    outside: bool = False


def read_state(field: str, value: object) -> TrackState:
    """Read a state that ``write_state`` could have written.

    Raises BadRequestError naming the wrong part for anything else.
    """
    fields = as_object(field, value)
    if fields.get("version") != _VERSION:
        raise expected(f"{field}.version", f"the number {_VERSION}", fields.get("version"))
    step = as_integer(f"{field}.step", fields.get("step"), 0, _LARGEST_STEP)
    state = TrackState(
        model=_matching(f"{field}.model", fields.get("model"), _MODEL),
        shape_type=_read_type(f"{field}.type", fields.get("type")),
        bare=_read_flag(f"{field}.bare", fields.get("bare")),
        step=step,
        memories=_read_memories(f"{field}.memories", fields.get("memories"), step),
        last_xyxy=_read_box(f"{field}.box", fields.get("box")),
        outside=_read_flag(f"{field}.outside", fields.get("outside")),
    )
    _check(field, state)
    return state


def _check(field: str, state: TrackState) -> None:
    """Raise BadRequestError unless the parts of the state are consistent."""
    is_rectangle = state.shape_type is ShapeType.RECTANGLE
    if state.bare and not is_rectangle:
        raise expected(f"{field}.type", "rectangle in the bare dialect", state.shape_type.value)
    if is_rectangle and state.last_xyxy is None:
        raise expected(f"{field}.box", "the last box of a rectangle", None)
    if not state.memories and not (is_rectangle and state.outside):
        raise expected(f"{field}.memories", f"1 to {MOST_MEMORIES} items, but for a rectangle outside", [])


def write_state(state: TrackState) -> dict[str, object]:
    """The JSON object, under 2 KB."""
    return {
        "version": _VERSION,
        "model": state.model,
        "type": state.shape_type.value,
        "bare": state.bare,
        "step": state.step,
        "memories": [[name.id, name.step, name.features] for name in state.memories],
        "box": None if state.last_xyxy is None else corners(state.last_xyxy),
        "outside": state.outside,
    }


def _matching(field: str, value: object, pattern: re.Pattern[str]) -> str:
    text = as_text(field, value)
    if not pattern.fullmatch(text):
        raise expected(field, f"a name of the form {pattern.pattern}", text)
    return text


def _read_type(field: str, value: object) -> ShapeType:
    text = as_text(field, value)
    if text not in set(ShapeType):
        raise expected(field, "rectangle, mask or polygon", text)
    return ShapeType(text)


def _read_flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise expected(field, "true or false", value)
    return value


def _read_memories(field: str, value: object, newest: int) -> tuple[MemoryName, ...]:
    values = as_list(field, value, most=MOST_MEMORIES)
    return tuple(_read_memory(f"{field}[{index}]", item, newest) for index, item in enumerate(values))


def _read_memory(field: str, value: object, newest: int) -> MemoryName:
    name, step, features = as_list(field, value, most=3, least=3)
    return MemoryName(
        _matching(f"{field}[0]", name, _MEMORY_ID),
        as_integer(f"{field}[1]", step, 0, newest),
        _read_flag(f"{field}[2]", features),
    )


def _read_box(field: str, value: object) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    x1, y1, x2, y2 = as_xyxy(field, as_numbers(field, value, most=4, least=4)).astype(np.float64).tolist()
    return x1, y1, x2, y2
