"""What the tracker finds is cleaned before it is answered, boxes by default; what people have drawn is not."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from promptable.config.settings import TrackerSettings
from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.serving.tracker.function import TrackerFunction
from promptable.store.entry_store import InProcessStore
from promptable.wire.masks import mask_to_rle, mask_to_xyxy
from tests.functions.conftest import Function
from tests.functions.requests import continuing, first_shapes, starting

SPECK = np.zeros((192, 192), np.bool_)
SPECK[180:183, 186:190] = True
FAR = [190, 183]
"""The right and lower edges of a box that reaches the speck."""


@pytest.fixture(scope="module")
def model(tracker: Function) -> VideoTracker:
    loaded: VideoTracker = tracker.context.user_data.answer._model
    return loaded


def specked(result: ObjectResult) -> ObjectResult:
    mask = result.mask | SPECK
    left, top, right, bottom = mask_to_xyxy(mask).astype(int).tolist()
    return replace(result, mask=mask, xyxy=(left, top, right, bottom))


def see_a_speck(model: VideoTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on there is a speck, far from the object, in the model's masks of later frames."""
    step: Callable[..., Sequence[ObjectResult]] = model.step

    def with_speck(*arguments: Any) -> list[ObjectResult]:
        return [specked(result) for result in step(*arguments)]

    monkeypatch.setattr(model, "step", with_speck)


def second_shapes(model: VideoTracker, kind: str, **settings: Any) -> Any:
    """The shapes on frame 1 of the objects that were drawn on frame 0."""
    function = TrackerFunction(model, InProcessStore(2**30), TrackerSettings(**settings))
    states = json.loads(function(starting(first_shapes(kind))))["states"]
    return json.loads(function(continuing(states, 1)))["shapes"]


@pytest.mark.parametrize("kind", ["rectangle", "mask", "polygon"])
@pytest.mark.parametrize("settings", [{"remove_specks": 12, "box_parts": 0}, {"largest_part_only": True}])
def test_a_speck_is_in_no_answer(
    model: VideoTracker, monkeypatch: pytest.MonkeyPatch, kind: str, settings: dict[str, Any]
) -> None:
    wanted = second_shapes(model, kind, **settings)
    see_a_speck(model, monkeypatch)
    assert second_shapes(model, kind, **settings) == wanted


def test_by_default_a_speck_is_in_no_box(model: VideoTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = second_shapes(model, "rectangle")
    see_a_speck(model, monkeypatch)
    assert second_shapes(model, "rectangle") == wanted
    assert all(shape["points"][2:] == FAR for shape in second_shapes(model, "rectangle", box_parts=0))


def test_by_default_masks_are_as_the_model_sees_them(model: VideoTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    see_a_speck(model, monkeypatch)
    assert all(shape["points"][-2:] == [189, 182] for shape in second_shapes(model, "mask"))


def test_what_a_person_drew_is_left_as_it_is(model: VideoTracker) -> None:
    drawn = SPECK.copy()
    drawn[60:100, 60:100] = True
    function = TrackerFunction(model, InProcessStore(2**30), TrackerSettings(largest_part_only=True))
    shape = {"type": "mask", "points": mask_to_rle(drawn).tolist(), "as": "rectangle"}
    (answered,) = json.loads(function(starting([shape])))["shapes"]
    assert answered["points"] == [60, 60, *FAR]
