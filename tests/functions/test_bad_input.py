"""Every bad input answers 4xx with the field's name, and leaves the function healthy."""

import base64
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from tests.functions.conftest import Function
from tests.functions.requests import SCENE, file_bytes, good_request


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing: a decompression bomb's fuse."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


JPEG = file_bytes(SCENE.image, "JPEG")
PNG = file_bytes(SCENE.image, "PNG")

BAD_IMAGES: dict[str, object] = {
    "absent": None,
    "a number": 7,
    "a list": [1, 2],
    "empty": "",
    "no base64": "%%%",
    "a data URL": "data:image/png;base64," + _text(PNG),
    "no picture": _text(b"hello world"),
    "a truncated JPEG": _text(JPEG[: len(JPEG) // 2]),
    "a truncated PNG": _text(PNG[: len(PNG) // 2]),
    "a header alone": _text(PNG[:20]),
    "a bomb": _text(_png_header(100_000, 100_000)),
    "over the limit": _text(file_bytes(np.zeros((1100, 1000, 3), np.uint8), "PNG")),
}


@pytest.mark.parametrize("image", BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_a_bad_picture_is_refused_by_every_function(
    function: Function, request: pytest.FixtureRequest, image: object
) -> None:
    kind = request.node.callspec.params["function"]
    refused(function, good_request(kind) | {"image": image}, "image")
    assert function.post(good_request(kind)).status_code == 200


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe", b"[1, 2]", b'"text"', None, 7, [1]])
def test_a_body_that_is_no_object_is_refused_by_every_function(function: Function, body: object) -> None:
    refused(function, body, "body")


BAD_THRESHOLDS = ["0.5", True, -0.1, 1.1, float("nan"), float("inf"), [], {}]


@pytest.mark.parametrize("threshold", BAD_THRESHOLDS)
def test_a_bad_threshold_is_refused(detector: Function, threshold: object) -> None:
    refused(detector, good_request("detector") | {"threshold": threshold}, "threshold")


NAN = float("nan")
BAD_PROMPTS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to go by": ({"pos_points": [], "obj_bbox": []}, "pos_points"),
    "only null": ({"pos_points": None, "neg_points": None, "obj_bbox": None}, "pos_points"),
    "only words": ({"pos_points": [], "text_prompts": ["a star"]}, "text_prompts"),
    "points as text": ({"pos_points": "5,5"}, "pos_points"),
    "a point of one number": ({"pos_points": [[5]]}, "pos_points[0]"),
    "a point of texts": ({"pos_points": [["5", "5"]]}, "pos_points[0]"),
    "a point of booleans": ({"pos_points": [[True, 5]]}, "pos_points[0]"),
    "NaN": ({"pos_points": [[NAN, 5]]}, "pos_points[0]"),
    "Infinity": ({"neg_points": [[float("inf"), 5]]}, "neg_points[0]"),
    "a point left of the picture": ({"pos_points": [[-5, 5]]}, "pos_points[0]"),
    "a point below the picture": ({"pos_points": [[5, 197]]}, "pos_points[0]"),
    "a negative point far outside": ({"neg_points": [[5000, 5]]}, "neg_points[0]"),
    "half a box": ({"obj_bbox": [[5, 5]]}, "obj_bbox"),
    "a box of equal corners": ({"obj_bbox": [[5, 5], [5, 5]]}, "obj_bbox"),
    "a box outside": ({"obj_bbox": [[500, 500], [600, 600]]}, "obj_bbox"),
}


@pytest.mark.parametrize(("change", "field"), BAD_PROMPTS.values(), ids=BAD_PROMPTS.keys())
def test_bad_prompts_are_refused(interactor: Function, change: dict[str, Any], field: str) -> None:
    refused(interactor, good_request("interactor") | change, field)
    assert interactor.post(good_request("interactor")).status_code == 200


BAD_SHAPES: dict[str, tuple[object, str]] = {
    "absent": (None, "shapes"),
    "none": ([], "shapes"),
    "null": ([None], "shapes[0]"),
    "an unknown type": ([{"type": "ellipse", "points": [1, 2, 3, 4]}], "shapes[0].type"),
    "three corners": ([{"type": "rectangle", "points": [1, 2, 3]}], "shapes[0].points"),
    "equal corners": ([{"type": "rectangle", "points": [9, 9, 9, 9]}], "shapes[0].points"),
    "NaN": ([{"type": "rectangle", "points": [NAN, 2, 3, 4]}], "shapes[0].points"),
    "a mask that does not add up": ([{"type": "mask", "points": [1, 2, 0, 0, 9, 9]}], "shapes[0].points"),
    "a mask with negative runs": ([{"type": "mask", "points": [-4, 8, 0, 0, 1, 1]}], "shapes[0].points"),
    "a polygon of two points": ([{"type": "polygon", "points": [1, 2, 3, 4]}], "shapes[0].points"),
    "a polygon of an odd length": ([{"type": "polygon", "points": [1, 2, 3, 4, 5, 6, 7]}], "shapes[0].points"),
    "the second is bad": (
        [{"type": "rectangle", "points": [60, 60, 90, 90]}, {"type": "rectangle", "points": ["a", 1, 2, 3]}],
        "shapes[1].points",
    ),
}


@pytest.mark.parametrize(("shapes", "field"), BAD_SHAPES.values(), ids=BAD_SHAPES.keys())
def test_bad_shapes_are_refused(tracker: Function, shapes: object, field: str) -> None:
    refused(tracker, good_request("tracker") | {"shapes": shapes}, field)
    assert tracker.post(good_request("tracker")).status_code == 200


BAD_STATES: dict[str, dict[str, Any]] = {
    "of no model": {"model": "the same"},
    "of another version": {"version": 99},
    "with unknown memory": {"memories": [["AAAAAAAAAAAAAAAA", 0, True]]},
    "with a path for an id": {"memories": [["../../../etc/passwd", 0, True]]},
    "with an id alone": {"memories": ["AAAAAAAAAAAAAAAA"]},
    "without memory": {"memories": []},
    "with far too much memory": {"memories": [["AAAAAAAAAAAAAAAA", 0, True]] * 1000},
    "with a wrong step": {"step": 7},
    "with a negative step": {"step": -1},
    "with a step of text": {"step": "1"},
    "of another type": {"type": "cuboid"},
    "without its box": {"box": None},
    "with a box of NaN": {"box": [NAN, 0, 1, 1]},
}


@pytest.mark.parametrize("change", BAD_STATES.values(), ids=BAD_STATES.keys())
def test_a_forged_state_is_refused(tracker: Function, change: dict[str, Any]) -> None:
    started = tracker.answer(good_request("tracker"))
    state = started["states"][0]
    body = good_request("tracker") | {"shapes": [None], "states": [state | change]}
    refused(tracker, body, "states")
    assert tracker.post(body | {"states": [state]}).status_code == 200


def test_a_bare_state_of_another_type_than_rectangle_is_refused(tracker: Function) -> None:
    state = tracker.answer(good_request("tracker"))["states"][0] | {"bare": True, "type": "mask"}
    refused(tracker, good_request("tracker") | {"shapes": [None], "states": [state]}, "states")


@pytest.mark.parametrize("state", [{}, [], "state", 7, True])
def test_a_foreign_state_is_refused(tracker: Function, state: object) -> None:
    refused(tracker, good_request("tracker") | {"shapes": [None], "states": [state]}, "states")


def test_extra_fields_are_ignored(function: Function, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["function"]
    assert function.post(good_request(kind) | {"task": 5, "unknown": {"a": 1}}).status_code == 200


@pytest.mark.parametrize("hw", [(1, 1), (3, 20000), (20000, 3), (1, 40)])
def test_pictures_of_extreme_forms_are_answered(
    function: Function, request: pytest.FixtureRequest, hw: tuple[int, int]
) -> None:
    kind = request.node.callspec.params["function"]
    image = np.random.default_rng(0).integers(0, 256, (*hw, 3)).astype(np.uint8)
    inside: dict[str, dict[str, Any]] = {
        "detector": {},
        "interactor": {"pos_points": [[hw[1] / 2, hw[0] / 2]]},
        "tracker": {"shapes": [{"type": "rectangle", "points": [0, 0, hw[1], hw[0]]}]},
    }
    body = good_request(kind, image) | inside[kind]
    if kind == "interactor" and max(hw) > 1000:
        refused(function, body, "image")  # SAM keeps proportions: of the short side nothing would be left
    else:
        assert function.post(body).status_code == 200


def refused(function: Function, body: object, field: str) -> None:
    response = function.post(body)
    message = json.loads(response.body)["error"]
    assert 400 <= response.status_code < 500, message
    assert message.startswith(field), message
    assert len(message) < 500
    assert message[:40] in function.log.getvalue(), "CVAT drops the body, so the log must say it too"
