import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptable.errors import BadRequestError
from promptable.wire.detector import MaskShape, Polygon, Rectangle, Tag, encode, parse
from promptable.wire.masks import MaskCrop, mask_to_crop, mask_to_polygon
from tests.wire.samples import IMAGE, mask_of

XYXY = np.array([1.5, 2, 30.25, 40], np.float32)
MASK = mask_of("""
    ....
    .##.
    .#..
""")


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("detector-threshold", 0.35),
        ("detector-no-threshold", None),
        ("detector-rgba-png", None),
        ("detector-gray16-png", None),
        ("detector-cmyk-jpeg", None),
    ],
)
def test_recorded_requests(recording, name, threshold):
    request = parse(recording(name))
    assert request.threshold == threshold
    image = request.image.decode(max_megapixels=1)
    assert image.shape == (240, 320, 3)
    assert image.min() < 30
    assert image.max() > 225


@pytest.mark.parametrize(("value", "threshold"), [(None, None), (0, 0.0), (1, 1.0), (0.25, 0.25)])
def test_the_threshold(value, threshold):
    assert parse({"image": IMAGE, "threshold": value}).threshold == threshold
    assert parse({"image": IMAGE}).threshold is None


@pytest.mark.parametrize("value", [-0.1, 1.01, float("nan"), float("inf"), "0.5", True, [0.5], {}, 10**400])
def test_a_wrong_threshold_is_refused(value):
    with pytest.raises(BadRequestError, match=r"^threshold: expected a number from 0 to 1, got "):
        parse({"image": IMAGE, "threshold": value})


def test_every_kind_of_item_has_exactly_the_keys_that_cvat_reads():
    polygon = mask_to_polygon(MASK)
    answer = encode(
        [
            Rectangle("car", XYXY, 0.5, {"rust": "true"}),
            MaskShape("dog", mask_to_crop(MASK), 1.0, polygon),
            Polygon("cat", (1.0, 2.0, 5.5, 2.0, 5.0, 9.0), 0),
            Tag("night", 0.75, {"moon": "3"}),
        ]
    )
    assert isinstance(answer, str)
    assert json.loads(answer) == [
        {
            "label": "car",
            "type": "rectangle",
            "points": [1.5, 2, 30.25, 40],
            "confidence": 0.5,
            "attributes": [{"name": "rust", "value": "true"}],
        },
        {
            "label": "dog",
            "type": "mask",
            "mask": [1, 1, 1, 0, 1, 1, 2, 2],
            "points": polygon,
            "confidence": 1.0,
            "attributes": [],
        },
        {
            "label": "cat",
            "type": "polygon",
            "points": [1, 2, 5.5, 2, 5, 9],
            "confidence": 0.0,
            "attributes": [],
        },
        {"label": "night", "type": "tag", "confidence": 0.75, "attributes": [{"name": "moon", "value": "3"}]},
    ]


def test_nothing_found_is_an_empty_list():
    assert encode([]) == "[]"


@given(st.lists(st.floats(-100, 5000, width=32), min_size=4, max_size=4))
def test_coordinates_survive_to_the_last_bit(numbers):
    (x1, x2), (y1, y2) = sorted(numbers[:2]), sorted(numbers[2:])
    if x1 < x2 and y1 < y2:
        (item,) = json.loads(encode([Rectangle("car", np.array([x1, y1, x2, y2], np.float32), 0.5)]))
        assert np.array(item["points"], np.float32).tolist() == [x1, y1, x2, y2]


NAN = float("nan")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Rectangle("a", np.array([1, 2, NAN, 4], np.float32), 0.5), "rectangle: NaN or Infinity"),
        (Rectangle("a", np.array([1, 2, np.inf, 4], np.float32), 0.5), "rectangle: NaN or Infinity"),
        (Rectangle("a", np.array([3, 2, 1, 4], np.float32), 0.5), "rectangle: expected ordered"),
        (Rectangle("a", np.array([1, 2, 1, 4], np.float32), 0.5), "rectangle: expected ordered"),
        (Rectangle("a", np.array([1, 4, 3, 4], np.float32), 0.5), "rectangle: expected ordered"),
        (Rectangle("a", np.array([1, 2, 3], np.float32), 0.5), "rectangle: expected ordered"),
        (Rectangle("a", XYXY, NAN), "confidence: expected a number from 0 to 1"),
        (Rectangle("a", XYXY, 1.5), "confidence: expected a number from 0 to 1"),
        (Polygon("a", [1, 2, 3, 4], 0.5), "polygon: expected flat x, y of at least 3 points"),
        (Polygon("a", [1, 2, 3, 4, 5, 6, 7], 0.5), "polygon: expected flat x, y of at least 3 points"),
        (Polygon("a", [1, 2, 3, 4, 5, NAN], 0.5), "polygon: NaN or Infinity"),
        (MaskShape("a", MaskCrop(np.zeros((3, 4), bool), 0, 0), 0.5, [1, 2, 3, 4, 5, 6]), "the mask is empty"),
        (MaskShape("a", mask_to_crop(MASK), 0.5, []), "polygon: expected flat x, y of at least 3 points"),
    ],
)
def test_what_would_corrupt_a_task_never_leaves(item, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        encode([item])
    assert not isinstance(caught.value, BadRequestError)
