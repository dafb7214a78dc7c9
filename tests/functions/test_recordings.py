"""Requests that a real CVAT server sent, answered by the real functions."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functions.conftest import ROOT, Function

RECORDINGS = sorted((ROOT.parent / "shared" / "recordings").glob("*.json"))

pytestmark = pytest.mark.skipif(not RECORDINGS, reason="the recordings are not beside the checkout")


def _bodies(prefix: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in RECORDINGS if path.name.startswith(prefix)]


def _read(path: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(path.read_text())["body"]
    return body


@pytest.mark.parametrize("path", _bodies("detector"))
def test_the_detector_answers(detector: Function, path: Path) -> None:
    for item in detector.answer(_read(path)):
        assert {"label", "type", "confidence"} <= set(item)


@pytest.mark.parametrize("path", _bodies("interactor"))
def test_the_interactor_answers(interactor: Function, path: Path) -> None:
    for shape in interactor.answer(_read(path))["shapes"]:
        assert shape["type"] == "mask"
        assert 0 <= float(shape["attributes"][0]["value"]) <= 1


@pytest.mark.parametrize("path", [p for p in _bodies("tracker") if "init" in p.id])
def test_the_tracker_starts_and_goes_on(tracker: Function, path: Path) -> None:
    body = _read(path)
    started = tracker.answer(body)
    assert len(started["states"]) == len(started["shapes"]) == len(body["shapes"])
    assert len(json.dumps(started["states"][0])) < 2048
    following = tracker.answer(body | {"shapes": [None] * len(body["shapes"]), "states": started["states"]})
    for sent, answered in zip(body["shapes"], following["shapes"], strict=True):
        if isinstance(sent, list):
            assert len(answered) == 4, "CVAT's older dialect has bare corners"
        elif sent["type"] == "rectangle" or answered is not None:
            assert answered["type"] == sent["type"]


@pytest.mark.parametrize("path", [p for p in _bodies("tracker") if "continue" in p.id])
def test_the_states_of_another_tracker_are_refused(tracker: Function, path: Path) -> None:
    response = tracker.post(_read(path))
    assert response.status_code == 400
    assert "states[" in json.loads(response.body)["error"]
