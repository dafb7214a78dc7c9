"""The two requests that are sent to a deployed function, and the answers that are taken."""

import base64
import http.client
import io
import json
from typing import Any

import pytest
from PIL import Image

from promptable.config.nuclio import FunctionConfig
from promptable.deploy.rollout.smoke import SIDE, SmokeError, call_twice, picture
from promptable.wire import detector, interactor, tracker
from tests.deploy.conftest import Answering


def _config(kind: str, form: str = "shapes") -> FunctionConfig:
    labels = json.dumps([{"name": "car"}]) if kind == "detector" else ""
    document = {
        "metadata": {"name": kind, "annotations": {"type": kind, "spec": labels}},
        "spec": {
            "description": "a function",
            "handler": "main:handler",
            "env": [{"name": "PROMPTABLE_ANSWER_FORM", "value": form}],
        },
    }
    return FunctionConfig.model_validate(document)


def _call(server: Answering, kind: str, answer: Any, form: str = "shapes") -> None:
    server.answer = answer
    call_twice(f"http://127.0.0.1:{server.server_port}/", _config(kind, form))


def test_the_picture_is_a_red_square_on_green() -> None:
    image = Image.open(io.BytesIO(picture()))
    assert (image.mode, image.size) == ("RGB", (SIDE, SIDE))
    assert image.getpixel((SIDE // 2, SIDE // 2)) == (200, 30, 30)
    assert image.getpixel((0, SIDE - 1)) == (30, 120, 40)


def test_the_functions_parse_the_requests(answering: tuple[Answering, ...]) -> None:
    state = {"step": 1}
    _call(answering[0], "detector", [{"label": "car", "type": "rectangle", "points": [1, 2, 3, 4]}])
    _call(answering[1], "interactor", {"shapes": []})
    _call(answering[2], "tracker", {"shapes": [None], "states": [state]})
    detector.parse(answering[0].bodies[0])
    assert interactor.parse(answering[1].bodies[0]).positive_xy.tolist() == [[SIDE / 2, SIDE / 2]]
    assert isinstance(tracker.parse(answering[2].bodies[0]), tracker.StartRequest)
    start, following = answering[2].bodies
    assert following["states"] == [state]
    assert base64.b64decode(following["image"]) == base64.b64decode(start["image"]) == picture()


@pytest.mark.parametrize(
    ("kind", "answer", "what"),
    [
        ("detector", {}, "expected a list"),
        ("detector", [{"label": "bus"}], "expected items with the function's own labels"),
        ("interactor", [], "expected a mapping with the list 'shapes'"),
        ("interactor", {"mask": [[0]]}, "expected a mapping with the list 'shapes'"),
        ("tracker", {"shapes": [None], "states": []}, "expected one entry in 'states'"),
        ("tracker", [], "expected one entry in 'shapes'"),
    ],
)
def test_a_wrong_answer_is_told(answering: tuple[Answering, ...], kind: str, answer: Any, what: str) -> None:
    with pytest.raises(SmokeError, match=what):
        _call(answering[0], kind, answer)


def test_the_form_for_an_older_cvat(answering: tuple[Answering, ...]) -> None:
    _call(answering[1], "interactor", {"mask": [[0]], "points": [], "bounds": [0, 0, 0, 0]}, form="mask")
    with pytest.raises(SmokeError, match="the list 'mask'"):
        _call(answering[1], "interactor", {"shapes": []}, form="mask")


def test_an_empty_form_is_the_default(answering: tuple[Answering, ...]) -> None:
    _call(answering[1], "interactor", {"shapes": []}, form="")


def test_an_error_is_told_with_the_functions_own_words(answering: tuple[Answering, ...]) -> None:
    answering[0].status = 500
    with pytest.raises(SmokeError, match=r"answered 500: .*out of memory"):
        _call(answering[0], "detector", {"error": "out of memory"})


def test_nobody_answers() -> None:
    with pytest.raises(SmokeError, match="cannot be reached"):
        call_twice("http://127.0.0.1:1/", _config("detector"))


def test_an_answer_that_breaks_off(answering: tuple[Answering, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client.HTTPResponse, "read", _broken_off)
    with pytest.raises(SmokeError, match="broke off its answer: IncompleteRead"):
        _call(answering[0], "detector", [])


def _broken_off(*_: object) -> bytes:
    raise http.client.IncompleteRead(b"[", 1)
