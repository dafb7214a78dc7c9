"""What holds for the requests of all three functions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptable.errors import BadRequestError
from promptable.wire import detector, interactor, tracker
from tests.wire.samples import IMAGE

REQUESTS = {
    detector: {"image": IMAGE, "threshold": 0.3},
    interactor: {"image": IMAGE, "pos_points": [[1, 2]], "neg_points": [], "obj_bbox": []},
    tracker: {"image": IMAGE, "shapes": [{"type": "rectangle", "points": [1, 2, 3, 4]}], "states": []},
}
KINDS = pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__.split(".")[-1])


@KINDS
@pytest.mark.parametrize(
    "as_sent", [dict, json.dumps, lambda body: json.dumps(body).encode()], ids=["dict", "str", "bytes"]
)
def test_a_body_that_nuclio_did_not_parse_is_parsed(kind, as_sent):
    assert kind.parse(as_sent(REQUESTS[kind])).image.decode(1).shape == (12, 16, 3)


@KINDS
def test_unknown_fields_are_ignored(kind):
    assert kind.parse(REQUESTS[kind] | {"job": 7, "extra_params": {"x": None}}).image.data.startswith(b"\x89PNG")


@KINDS
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected a JSON object, got 0 bytes that begin with b''"),
        (b"\xff\xd8\xff\xe0", r"expected a JSON object, got 4 bytes that begin with b'\\xff\\xd8\\xff\\xe0'"),
        ("image=1", "expected a JSON object, got a text of 7 characters, 'image=1'"),
        (b'{"image": NaN}', "expected a JSON object, got 14 bytes"),
        (b"[1, 2]", "expected a JSON object, got a list of 2"),
        (b"[" * 100_000, "expected a JSON object, got 100000 bytes"),
        ([], "expected a JSON object, got a list of 0"),
        (None, "expected a JSON object, got nothing"),
        (3.5, "expected a JSON object, got the number 3.5"),
        (True, "expected a JSON object, got true"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_body_that_is_no_object_is_refused(kind, body, message):
    with pytest.raises(BadRequestError, match=f"^body: {message}"):
        kind.parse(body)


@KINDS
def test_a_request_without_a_picture_is_refused(kind):
    body = {name: value for name, value in REQUESTS[kind].items() if name != "image"}
    with pytest.raises(BadRequestError, match=r"^image: expected a text, got nothing"):
        kind.parse(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = ["threshold", "pos_points", "neg_points", "obj_bbox", "shapes", "states"]


@KINDS
@given(values=st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_comes_it_parses_or_a_field_is_named(kind, values):
    try:
        kind.parse(REQUESTS[kind] | values)
    except BadRequestError as error:
        assert str(error).partition(":")[0].partition("[")[0] in FIELDS  # noqa: PT017
        assert len(str(error)) < 400  # noqa: PT017
