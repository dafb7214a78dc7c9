import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptable.errors import BadRequestError
from promptable.wire.shapes import Shape, ShapeType, lost_rectangle, shape_of_mask
from promptable.wire.state import MemoryName, TrackState
from promptable.wire.tracker import ContinueRequest, StartRequest, encode, parse
from tests.wire.samples import IMAGE, mask_of, masks

RECTANGLE = Shape(ShapeType.RECTANGLE, np.array([10.5, 20.0, 110.0, 120.0], np.float64))
MASK = Shape(ShapeType.MASK, np.array([1, 2, 1, 4, 1, 2, 1, 10, 20, 13, 22]))
POLYGON = Shape(ShapeType.POLYGON, np.array([1.0, 1.0, 50.0, 1.0, 50.0, 50.0], np.float64))
STATE = TrackState(
    model="0123456789abcdef",
    shape_type=ShapeType.RECTANGLE,
    bare=False,
    step=3,
    memories=(MemoryName("AAAAaaaa0000__--", 0, True), MemoryName("b" * 22, 3, False)),
    last_xyxy=(1.5, 2.0, 30.25, 40.0),
)
SENT = {
    "version": 3,
    "model": "0123456789abcdef",
    "type": "rectangle",
    "bare": False,
    "step": 3,
    "memories": [["AAAAaaaa0000__--", 0, True], ["b" * 22, 3, False]],
    "box": [1.5, 2.0, 30.25, 40.0],
    "outside": False,
}


def plain(shape):
    """A shape as a value that can be compared."""
    return None if shape is None else (shape.type, shape.points.tolist(), shape.outside, shape.score)


def plainly(shapes):
    return [plain(shape) for shape in shapes]


def start(*shapes):
    return parse({"image": IMAGE, "shapes": list(shapes), "states": []})


def resume(*states):
    return parse({"image": IMAGE, "shapes": [None] * len(states), "states": list(states)})


@pytest.mark.parametrize("name", ["tracker-init", "tracker-video-init"])
def test_recorded_starts(recording, name):
    request = parse(recording(name))
    assert isinstance(request, StartRequest)
    assert plainly(request.shapes) == plainly([RECTANGLE, MASK, POLYGON])
    assert not request.bare
    assert request.image.decode(1).shape == (240, 320, 3)


def test_a_recorded_start_of_bare_rectangles(recording):
    request = parse(recording("tracker-legacy-init"))
    assert isinstance(request, StartRequest)
    assert plainly(request.shapes) == plainly([RECTANGLE])
    assert request.bare


CONTINUED = ["tracker-continue", "tracker-continue-old-ui", "tracker-continue-null-state", "tracker-legacy-continue"]


@pytest.mark.parametrize("name", CONTINUED)
def test_recorded_continuations_with_our_own_states(recording, name):
    body = recording(name)
    body["states"] = [state and SENT for state in body["states"]]
    request = parse(body)
    assert isinstance(request, ContinueRequest)
    assert request.states == tuple(STATE if state else None for state in body["states"])


@pytest.mark.parametrize("name", CONTINUED)
def test_states_of_another_function_are_refused(recording, name):
    with pytest.raises(BadRequestError, match=r"^states\[[01]\]\.version: expected the number 3, got nothing"):
        parse(recording(name))


@pytest.mark.parametrize("nothing", [{}, {"states": None}, {"states": []}], ids=str)
def test_without_states_it_is_a_start(nothing):
    request = parse({"image": IMAGE, "shapes": [[1, 2, 3, 4]], **nothing})
    assert isinstance(request, StartRequest)


def test_corners_may_come_in_any_order():
    request = start({"type": "rectangle", "points": [30, 4, 10.5, 20]}, {"type": "rectangle", "points": [1, 9, 2, 3]})
    assert [shape.points.tolist() for shape in request.shapes] == [[10.5, 4, 30, 20], [1, 3, 2, 9]]


@pytest.mark.parametrize("rotation", [0, 0.0, None])
def test_a_rectangle_that_is_not_rotated_may_say_so(rotation):
    (shape,) = start({"type": "rectangle", "points": [1, 2, 3, 4], "rotation": rotation}).shapes
    assert shape.points.tolist() == [1, 2, 3, 4]


def rectangle(*points):
    return {"type": "rectangle", "points": list(points)}


def typed(kind, *points):
    return {"type": kind, "points": list(points)}


NAN = float("nan")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (None, "shapes: expected a list of 1 to 256 items, got nothing"),
        ([], "shapes: expected a list of 1 to 256 items, got a list of 0"),
        ([rectangle(1, 2, 3, 4)] * 257, "shapes: expected a list of 1 to 256 items, got a list of 257"),
        ("all", "shapes: expected a list"),
        ([None], r"shapes\[0\]: expected a JSON object, got nothing"),
        ([5], r"shapes\[0\]: expected a JSON object, got the number 5"),
        ([rectangle(1, 2, 3, 4), [1, 2, 3, 4]], r"shapes\[1\]: expected the same form as shapes\[0\], got a list of 4"),
        ([[1, 2, 3, 4], rectangle(1, 2, 3, 4)], r"shapes\[1\]: expected the same form as shapes\[0\], got an object"),
        ([{"points": [1, 2, 3, 4]}], r"shapes\[0\]\.type: expected rectangle, mask or polygon, got nothing"),
        ([typed("ellipse", 1, 2)], r"shapes\[0\]\.type: expected rectangle, mask or polygon, got a text .* 'ellipse'"),
        ([typed(["mask"], 1, 2)], r"shapes\[0\]\.type: expected rectangle, mask or polygon, got a list of 1"),
        ([{"type": "mask"}], r"shapes\[0\]\.points: expected a list"),
        ([rectangle(1, 2, 3)], r"shapes\[0\]\.points: expected a list of 4 items, got a list of 3"),
        ([rectangle(1, 2, 3, 4, 5)], r"shapes\[0\]\.points: expected a list of 4 items, got a list of 5"),
        ([[1, 2, 3]], r"shapes\[0\]: expected a list of 4 items, got a list of 3"),
        ([rectangle(1, 2, 1, 4)], r"shapes\[0\]\.points: expected a box with an area"),
        ([[1, 2, 3, 2]], r"shapes\[0\]: expected a box with an area"),
        ([rectangle(1, 2, NAN, 4)], r"shapes\[0\]\.points\[2\]: expected a number .* got the number nan"),
        ([rectangle(1, 2, "3", 4)], r"shapes\[0\]\.points\[2\]: expected a number .* got a text"),
        ([rectangle(1, 2, 3, True)], r"shapes\[0\]\.points\[3\]: expected a number .* got true"),
        ([rectangle(1, 2, 3, 4) | {"rotation": 90}], r"shapes\[0\]\.rotation: expected 0 .*, got the number 90"),
        (
            [rectangle(1, 2, 3, 4) | {"rotation": "0"}],
            r"shapes\[0\]\.rotation: expected 0 .*, got a text",
        ),
        ([typed("mask", 0, 5, 1, 1, 3, 2)], r"shapes\[0\]\.points: expected run lengths that add up to 6"),
        ([typed("mask", -1, 7, 1, 1, 3, 2)], r"shapes\[0\]\.points: expected integers of at least 0, got -1"),
        ([typed("mask", 0, 6.5, 1, 1, 3, 2)], r"shapes\[0\]\.points: expected integers of at least 0, got 6\.5"),
        ([typed("mask", 0, 10**18, 0, 0, 1, 1)], r"shapes\[0\]\.points\[1\]: expected a number"),
        ([typed("mask", 0, 6, 3, 1, 1, 2)], r"shapes\[0\]\.points: expected l <= r and t <= b"),
        ([typed("mask", 1, 2, 3, 4)], r"shapes\[0\]\.points: expected run lengths and l, t, r, b, got 4 numbers"),
        ([typed("mask", 0, "6", 1, 1, 3, 2)], r"shapes\[0\]\.points\[1\]: expected a number"),
        ([typed("polygon", 1, 2, 3, 4)], r"shapes\[0\]\.points: expected a list of 6 to 40000 items, got a list of 4"),
        (
            [typed("polygon", *range(7))],
            r"shapes\[0\]\.points: expected an even number of coordinates, got a list of 7",
        ),
        ([typed("polygon", *range(40_002))], r"shapes\[0\]\.points: expected a list of 6 to 40000 items"),
        ([typed("polygon", 1, 2, 3, 4, 5, None)], r"shapes\[0\]\.points\[5\]: expected a number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_shapes_are_named(shapes, message):
    with pytest.raises(BadRequestError, match=f"^{message}"):
        parse({"image": IMAGE, "shapes": shapes})


def test_shapes_in_the_picture():
    box = Shape(ShapeType.RECTANGLE, np.array([-3.0, 1.0, 4.0, 99.0], np.float64)).to_xyxy((5, 6))
    assert box is not None
    assert box.tolist() == [0, 1, 4, 5]
    expected = np.zeros((30, 20), bool)
    expected[20:23, 10:14] = mask_of(".##. #### .##.")
    np.testing.assert_array_equal(MASK.to_mask((30, 20)), expected)
    triangle = Shape(ShapeType.POLYGON, np.array([0.0, 0.0, 3.0, 0.0, 0.0, 3.0], np.float64))
    np.testing.assert_array_equal(triangle.to_mask((3, 4)), mask_of("##.. #... ...."))


def test_the_box_around_a_shape():
    assert RECTANGLE.xyxy == (10.5, 20, 110, 120)
    assert MASK.xyxy == (10, 20, 14, 23)
    assert POLYGON.xyxy == (1, 1, 50, 50)


def test_what_lies_outside_the_picture_is_cut_off():
    expected = np.zeros((22, 12), bool)
    expected[20:, 10:] = mask_of(".# ##")
    np.testing.assert_array_equal(MASK.to_mask((22, 12)), expected)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(ShapeType.MASK, np.array([0, 4, 12, 1, 13, 2])),
        Shape(ShapeType.MASK, np.array([0, 4, 1, 22, 2, 23])),
        Shape(ShapeType.MASK, np.array([4, 0, 0, 1, 1])),
        Shape(ShapeType.POLYGON, np.array([50.0, 50.0, 60.0, 50.0, 60.0, 60.0], np.float64)),
        Shape(ShapeType.POLYGON, np.array([1.0, 1.0, 1.2, 1.0, 1.2, 1.2], np.float64)),
    ],
    ids=str,
)
def test_a_shape_without_a_pixel_in_the_picture_has_no_mask(shape):
    assert shape.to_mask((22, 12)) is None


def test_a_rectangle_outside_the_picture_has_no_box():
    assert RECTANGLE.to_xyxy((20, 10)) is None


@pytest.mark.parametrize(
    ("shape", "hw", "lies"),
    [
        (MASK, (23, 14), True),
        (MASK, (22, 14), False),
        (MASK, (23, 13), False),
        (POLYGON, (50, 50), True),
        (POLYGON, (49, 50), False),
        (Shape(ShapeType.POLYGON, np.array([-0.5, 1.0, 9.0, 1.0, 9.0, 9.0], np.float64)), (50, 50), False),
    ],
    ids=str,
)
def test_whether_all_of_a_shape_lies_in_the_picture(shape, hw, lies):
    assert shape.lies_in(hw) is lies


@given(masks())
def test_masks_go_back_in_the_type_they_came_in(mask):
    assert shape_of_mask(mask, ShapeType.MASK).to_mask(mask.shape).tolist() == mask.tolist()
    box = shape_of_mask(mask, ShapeType.RECTANGLE).to_xyxy(mask.shape)
    rows, columns = np.nonzero(mask)
    assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    polygon = shape_of_mask(mask, ShapeType.POLYGON)
    assert shape_of_mask(polygon.to_mask(mask.shape), ShapeType.POLYGON).points.tolist() == polygon.points.tolist()


def test_the_tolerance_thins_out_polygons():
    rows, columns = np.ogrid[:80, :80]
    disc = np.hypot(rows - 40, columns - 40) < 30
    exact, thin = (len(shape_of_mask(disc, ShapeType.POLYGON, tolerance).points) for tolerance in (0, 1))
    assert thin < exact / 2


def test_the_answer_has_exactly_the_keys_that_cvat_reads():
    answer = json.loads(encode([RECTANGLE, MASK, None, POLYGON], [STATE, None, None, STATE], bare=False))
    assert answer == {
        "shapes": [
            {"type": "rectangle", "points": [10.5, 20, 110, 120]},
            {"type": "mask", "points": [1, 2, 1, 4, 1, 2, 1, 10, 20, 13, 22]},
            None,
            {"type": "polygon", "points": [1, 1, 50, 1, 50, 50]},
        ],
        "states": [SENT, None, None, SENT],
    }
    assert all(isinstance(number, int) for number in answer["shapes"][1]["points"])


@pytest.mark.parametrize(
    ("xyxy", "inside"),
    [
        ((1.5, 2, 30, 20), (1.5, 2, 30, 20)),
        ((-9, 2, 300, 20), (0, 2, 40, 20)),
        ((90, 90, 99, 99), (39, 29, 40, 30)),
        ((-9, -9, -5, -5), (0, 0, 1, 1)),
    ],
)
def test_a_lost_rectangle_keeps_what_is_in_the_picture(xyxy, inside):
    assert plain(lost_rectangle(xyxy, (30, 40))) == (ShapeType.RECTANGLE, list(inside), True, None)


def test_an_object_outside_the_picture_says_so_where_there_is_room():
    outside = replace(RECTANGLE, outside=True)
    typed_answer = json.loads(encode([outside], [None], bare=False))["shapes"]
    assert typed_answer == [{"type": "rectangle", "points": [10.5, 20, 110, 120], "outside": True}]
    assert json.loads(encode([outside], [None], bare=True))["shapes"] == [[10.5, 20, 110, 120]]


def test_a_shape_that_was_found_says_how_sure_the_model_is_where_there_is_room():
    found = replace(MASK, score=0.81549)
    typed_answer = json.loads(encode([found, MASK], [None, None], bare=False))["shapes"]
    assert [shape.get("score") for shape in typed_answer] == [0.815, None]
    assert json.loads(encode([replace(RECTANGLE, score=0.5)], [None], bare=True))["shapes"] == [[10.5, 20, 110, 120]]


def test_the_answer_in_the_bare_dialect():
    answer = json.loads(encode([RECTANGLE, None], [None, None], bare=True))
    assert answer == {"shapes": [[10.5, 20, 110, 120], None], "states": [None, None]}


@pytest.mark.parametrize(
    ("shapes", "states", "bare", "message"),
    [
        ([RECTANGLE], [], False, "1 shapes but 0 states"),
        ([MASK], [None], True, "a mask cannot be answered as a bare rectangle"),
        (
            [Shape(ShapeType.RECTANGLE, np.array([1, 2, NAN, 4], np.float64))],
            [None],
            False,
            "rectangle: NaN or Infinity",
        ),
        ([Shape(ShapeType.RECTANGLE, np.array([3, 2, 1, 4], np.float64))], [None], True, "rectangle: expected ordered"),
        ([Shape(ShapeType.MASK, np.array([0, NAN, 1, 1, 1, 1]))], [None], False, "mask: NaN or Infinity"),
        (
            [Shape(ShapeType.POLYGON, np.array([1, 2, 3, 4], np.float64))],
            [None],
            False,
            "polygon: expected flat x, y of at least 3 points",
        ),
        ([replace(MASK, score=NAN)], [None], False, "score: expected a number from 0 to 1"),
    ],
)
def test_what_would_corrupt_a_task_never_leaves(shapes, states, bare, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        encode(shapes, states, bare)
    assert not isinstance(caught.value, BadRequestError)


coordinates = st.floats(0, 4000, width=32)
memory_names = st.builds(
    MemoryName, id=st.text("09AZaz_-", min_size=16, max_size=22), step=st.integers(0, 10**9), features=st.booleans()
)
boxes = st.tuples(coordinates, coordinates, coordinates, coordinates).filter(lambda c: c[0] < c[2] and c[1] < c[3])


states = st.builds(
    TrackState,
    model=st.text("0123456789abcdef", min_size=16, max_size=16),
    shape_type=st.sampled_from(ShapeType),
    bare=st.just(False),
    step=st.just(10**9),
    memories=st.lists(memory_names, min_size=1, max_size=32).map(tuple),
    last_xyxy=boxes,
    outside=st.booleans(),
)


@given(st.lists(states, min_size=1, max_size=4))
def test_states_round_trip_and_stay_tiny(sent):
    answer = json.loads(encode([None] * len(sent), sent, bare=False))
    assert resume(*answer["states"]).states == tuple(sent)
    assert all(len(json.dumps(state)) < 2048 for state in answer["states"])


def corrected(states, corrections):
    return parse({"image": IMAGE, "states": states, "corrections": corrections})


def test_corrections_are_one_for_each_state_or_null():
    mask = {"type": "mask", "points": MASK.points.tolist()}
    request = corrected([SENT, None, SENT, SENT], [mask, None, None, [10.5, 20, 110, 120]])
    assert plainly(request.corrections) == plainly([MASK, None, None, RECTANGLE])
    assert resume(SENT, None).corrections == (None, None)
    assert corrected([SENT], None).corrections == corrected([SENT], []).corrections == (None,)


def test_shapes_beside_states_are_no_corrections():
    """Old UIs send them."""
    request = parse({"image": IMAGE, "shapes": [[1, 2, 30, 40]], "states": [SENT]})
    assert request.corrections == (None,)


@pytest.mark.parametrize(
    ("states", "corrections", "message"),
    [
        ([SENT], [None, None], r"corrections: expected a list of 1 items, got a list of 2"),
        ([SENT], {}, r"corrections: expected a list of 1 items, got an object"),
        (
            [SENT, None],
            [None, [1, 2, 3, 4]],
            r"corrections\[1\]: expected null where the state is null",
        ),
        ([SENT], [{"type": "ellipse", "points": [1, 2, 3, 4]}], r"corrections\[0\]\.type: expected"),
        ([SENT], [[1, 2, 3]], r"corrections\[0\]"),
        ([], [[1, 2, 3, 4]], r"corrections: expected nothing where there are no states, got a list of 1"),
    ],
)
def test_corrections_that_fit_no_state_are_refused(states, corrections, message):
    with pytest.raises(BadRequestError, match=f"^{message}"):
        corrected(states, corrections)


def test_the_dialect_travels_in_the_states():
    assert resume(SENT | {"bare": True}, None).bare
    assert not resume(SENT, None).bare
    assert not resume(None).bare
    with pytest.raises(BadRequestError, match=r"^states: expected states of one dialect"):
        resume(SENT, SENT | {"bare": True})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "version: expected the number 3, got the number 1"),
        ({"box": None}, "box: expected the last box of a rectangle, got nothing"),
        ({"type": "polygon", "box": None, "bare": True}, "type: expected rectangle in the bare dialect"),
        ({"version": True}, "version: expected the number 3, got true"),
        ({"model": 5}, "model: expected a text, got the number 5"),
        ({"model": ""}, "model: expected a name of the form"),
        ({"model": "../etc/passwd"}, "model: expected a name of the form"),
        ({"model": "a" * 65}, "model: expected a name of the form"),
        ({"type": "ellipse"}, "type: expected rectangle, mask or polygon"),
        ({"type": None}, "type: expected a text, got nothing"),
        ({"bare": 0}, "bare: expected true or false, got the number 0"),
        ({"step": -1}, "step: expected an integer from 0 to 1000000000, got the number -1"),
        ({"step": NAN}, "step: expected an integer from 0 to 1000000000, got the number nan"),
        ({"step": "3"}, "step: expected an integer from 0 to 1000000000, got a text"),
        ({"outside": 1}, "outside: expected true or false, got the number 1"),
        ({"memories": []}, "memories: expected 1 to 32 items, but for a rectangle outside, got a list of 0"),
        ({"memories": [], "outside": True, "type": "mask"}, "memories: expected 1 to 32 items"),
        ({"memories": [["a" * 16, 0, True]] * 33}, "memories: expected a list of 0 to 32 items, got a list of 33"),
        ({"memories": "a" * 16}, "memories: expected a list of 0 to 32 items, got a text"),
        ({"memories": [["a" * 16, 0, True], 5]}, r"memories\[1\]: expected a list of 3 items, got the number 5"),
        ({"memories": [["../../../../etc/passwd", 0, True]]}, r"memories\[0\]\[0\]: expected a name of the form"),
        ({"memories": [["a" * 15, 0, True]]}, r"memories\[0\]\[0\]: expected a name of the form"),
        ({"memories": [["a" * 23, 0, True]]}, r"memories\[0\]\[0\]: expected a name of the form"),
        ({"memories": [["a" * 1_000_000, 0, True]]}, r"memories\[0\]\[0\]: expected a name of the form"),
        ({"memories": [["a" * 16 + "\n", 0, True]]}, r"memories\[0\]\[0\]: expected a name of the form"),
        ({"memories": [["a" * 16, 4, True]]}, r"memories\[0\]\[1\]: expected an integer from 0 to 3, got the number 4"),
        ({"memories": [["a" * 16, 3, 1]]}, r"memories\[0\]\[2\]: expected true or false, got the number 1"),
        ({"memories": [["ä" * 16, 0, True]]}, r"memories\[0\]\[0\]: expected a name of the form"),
        ({"box": [1, 2, 3]}, "box: expected a list of 4 items"),
        ({"box": [1, 2, 1, 4]}, "box: expected a box with an area"),
        ({"box": [1, 2, NAN, 4]}, r"box\[2\]: expected a number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_forged_states_are_refused(change, message):
    with pytest.raises(BadRequestError, match=f"^states\\[1\\].{message}") as caught:
        resume(SENT, SENT | change)
    assert len(str(caught.value)) < 300


def test_a_mask_that_was_not_found_yet_has_no_box():
    mask = replace(STATE, shape_type=ShapeType.MASK, last_xyxy=None)
    assert resume(SENT | {"type": "mask", "box": None}).states == (mask,)


@pytest.mark.parametrize("key", sorted(SENT))
def test_a_state_without_a_key_is_refused(key):
    with pytest.raises(BadRequestError, match=rf"^states\[0\]\.{key}: expected .* got nothing"):
        resume({name: value for name, value in SENT.items() if name != key})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"0": SENT}, "states: expected a list of 1 to 256 items, got an object"),
        ([SENT] * 257, "states: expected a list of 1 to 256 items, got a list of 257"),
        (["state"], r"states\[0\]: expected a JSON object, got a text"),
        ([[]], r"states\[0\]: expected a JSON object, got a list of 0"),
        (0, "states: expected a list of 1 to 256 items, got the number 0"),
    ],
)
def test_wrong_lists_of_states_are_refused(value, message):
    with pytest.raises(BadRequestError, match=f"^{message}"):
        parse({"image": IMAGE, "shapes": [], "states": value})
