"""The tracker's requests and answer, in two dialects: shapes with a type, and bare ``[l, t, r, b]`` rectangles.

CVAT sends and expects bare rectangles when the function's metadata has no ``supported_shape_types``; CVAT before 2.40
always does. A request with ``states`` continues tracks; ``shapes`` that an old UI sends beside the states are ignored.
Two keys are our own extension, and CVAT's editor sends neither. ``corrections`` are new shapes for objects that are
already tracked. ``as``, in a shape that starts a track, is the shape type of all answers for that object.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from promptable.errors import BadRequestError
from promptable.wire.answers import to_json
from promptable.wire.fields import as_list, expected, read_object
from promptable.wire.images.encoded import EncodedImage, parse_image
from promptable.wire.most_objects import MOST_OBJECTS
from promptable.wire.shapes import Shape, ShapeType, read_shape, write_points, write_shape
from promptable.wire.state import TrackState, read_state, write_state


@dataclass(frozen=True)
class StartRequest:
    """At least one new object, with the shape type of the answers for each.

    ``bare``: CVAT sent bare rectangles, and expects bare rectangles in the answer.
    """

    image: EncodedImage
    shapes: tuple[Shape, ...]
    answered_types: tuple[ShapeType, ...]
    bare: bool


@dataclass(frozen=True)
class ContinueRequest:
    """Objects with the states of an earlier step; a state is None if the earlier answer for the object was null.

    ``corrections`` has one item for each state: a shape that shows where the object is on this picture, or None if the
    tracker must find the object. ``bare`` is the dialect of the states; when all states are None, the answer is null in
    both dialects.
    """

    image: EncodedImage
    states: tuple[TrackState | None, ...]
    corrections: tuple[Shape | None, ...]
    bare: bool


def parse(body: object) -> StartRequest | ContinueRequest:
    """``{"image", "shapes", "states", "corrections"}``; raises BadRequestError."""
    fields = read_object(body)
    image = parse_image(fields)
    states, corrections = fields.get("states"), fields.get("corrections")
    if states is not None and states != []:
        return _continue(image, states, corrections)
    if corrections is not None and corrections != []:
        raise expected("corrections", "nothing where there are no states", corrections)
    return _start(image, fields.get("shapes"))


def encode(shapes: Sequence[Shape | None], states: Sequence[TrackState | None], bare: bool) -> str:
    """``{"shapes", "states"}``, one of each for every object, in the request's order; None of a lost object is null.

    Raises ValueError for NaN, for swapped corners, and for other shapes than rectangles in the bare dialect.
    """
    if len(shapes) != len(states):
        raise ValueError(f"{len(shapes)} shapes but {len(states)} states")
    write = _bare if bare else write_shape
    return to_json(
        {
            "shapes": [None if shape is None else write(shape) for shape in shapes],
            "states": [None if state is None else write_state(state) for state in states],
        }
    )


def _start(image: EncodedImage, value: object) -> StartRequest:
    values = as_list("shapes", value, most=MOST_OBJECTS, least=1)
    bare = isinstance(values[0], list)
    for index, item in enumerate(values):
        if isinstance(item, list) != bare:
            raise expected(f"shapes[{index}]", "the same form as shapes[0]", item)
    shapes = tuple(read_shape(f"shapes[{i}]", item) for i, item in enumerate(values))
    types = [_answered_type(f"shapes[{i}].as", *each) for i, each in enumerate(zip(values, shapes, strict=True))]
    return StartRequest(image, shapes, tuple(types), bare)


def _answered_type(field: str, item: object, shape: Shape) -> ShapeType:
    value = item.get("as") if isinstance(item, dict) else None
    if value is None:
        return shape.type
    if value not in [known.value for known in ShapeType]:
        raise expected(field, "rectangle, mask or polygon", value)
    return ShapeType(value)


def _continue(image: EncodedImage, value: object, corrections: object) -> ContinueRequest:
    values = as_list("states", value, most=MOST_OBJECTS, least=1)
    states = tuple(None if item is None else read_state(f"states[{i}]", item) for i, item in enumerate(values))
    dialects = {state.bare for state in states if state is not None}
    if len(dialects) > 1:
        raise BadRequestError("states: expected states of one dialect, got both bare and typed ones")
    return ContinueRequest(image, states, _corrections(corrections, states), bare=dialects == {True})


def _corrections(value: object, states: Sequence[TrackState | None]) -> tuple[Shape | None, ...]:
    """A correction or None for each state; all None if the request has no corrections."""
    if value is None or value == []:
        return (None,) * len(states)
    values = as_list("corrections", value, most=len(states), least=len(states))
    for index, (item, state) in enumerate(zip(values, states, strict=True)):
        if item is not None and state is None:
            raise expected(f"corrections[{index}]", "null where the state is null", item)
    return tuple(None if item is None else read_shape(f"corrections[{i}]", item) for i, item in enumerate(values))


def _bare(shape: Shape) -> object:
    if shape.type is not ShapeType.RECTANGLE:
        raise ValueError(f"a {shape.type} cannot be answered as a bare rectangle")
    return write_points(shape)
