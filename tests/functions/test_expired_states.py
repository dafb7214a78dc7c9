"""A state whose memory is no longer kept is an error, or a new start from its last box, as the settings say."""

import json
from typing import Any

import numpy as np
import pytest

from promptable.config.settings import OnExpired, TrackerSettings
from promptable.errors import GoneError, NotReadyError
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.serving.tracker.entries import read_entry
from promptable.serving.tracker.function import TrackerFunction
from promptable.store.entry_store import InProcessStore
from promptable.store.redis_server import connect
from promptable.store.redis_store import RedisStore
from promptable.wire.masks import polygon_to_mask, rle_to_mask
from tests.functions.conftest import Function
from tests.functions.requests import VIDEO, continuing, first_shapes, starting
from tests.functions.test_tracks import GONE
from tests.redis_server import running_redis
from toy.metrics import box_iou, mask_iou

HW = (192, 192)


@pytest.fixture(scope="module")
def model(tracker: Function) -> VideoTracker:
    loaded: VideoTracker = tracker.context.user_data.answer._model
    return loaded


def restarted(model: VideoTracker, on_expired: OnExpired = OnExpired.RESTART) -> TrackerFunction:
    """The function with nothing at hand, as after a restart without Redis."""
    return TrackerFunction(model, InProcessStore(2**30), TrackerSettings(on_expired=on_expired))


def answer(function: TrackerFunction, body: Any) -> Any:
    return json.loads(function(body))


def states_of(tracker: Function, kind: str) -> list[Any]:
    """The objects' states on frame 1."""
    states: list[Any] = tracker.answer(continuing(tracker.answer(starting(first_shapes(kind)))["states"], 1))["states"]
    return states


def test_it_is_an_error_by_default(tracker: Function, model: VideoTracker) -> None:
    assert TrackerSettings().on_expired is OnExpired.ERROR
    with pytest.raises(GoneError, match="expired, start tracking again"):
        restarted(model, OnExpired.ERROR)(continuing(states_of(tracker, "rectangle"), 2))


@pytest.mark.parametrize("kind", ["rectangle", "mask", "polygon"])
def test_a_track_starts_again_from_its_last_box_and_goes_on(
    tracker: Function, model: VideoTracker, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    function = restarted(model)
    states = states_of(tracker, kind)
    first = answer(function, continuing(states, 2))
    assert f"{len(states)} states have expired: their tracks start again" in caplog.text
    assert {state["step"] for state in first["states"]} == {0}
    assert max(len(json.dumps(state)) for state in first["states"]) < 2048
    second = answer(function, continuing(first["states"], 3))
    assert {state["step"] for state in second["states"]} == {1}
    for shape, thing in zip(second["shapes"], VIDEO[3].objects, strict=True):
        assert shape["type"] == kind
        assert _iou(shape, thing) > 0.6


def _iou(shape: dict[str, Any], thing: Any) -> float:
    match shape["type"]:
        case "rectangle":
            return box_iou(np.array(shape["points"], np.float32), thing.xyxy)
        case "mask":
            return mask_iou(rle_to_mask(shape["points"], HW), thing.mask)
        case _:
            return mask_iou(polygon_to_mask(shape["points"], HW), thing.mask)


def test_those_that_are_remembered_go_on_beside_it(tracker: Function, model: VideoTracker) -> None:
    function = restarted(model)
    known = answer(function, starting(first_shapes("mask")[:1], 0))["states"]
    both = answer(function, continuing([*states_of(tracker, "mask")[1:2], None, *known], 1))
    assert [state and state["step"] for state in both["states"]] == [0, None, 1]
    assert both["shapes"][2:] == answer(function, continuing(known, 1))["shapes"]


def test_what_was_lost_is_not_taken_for_what_stands_in_its_place(tracker: Function, model: VideoTracker) -> None:
    seen = [*states_of(tracker, "rectangle")[:1], *states_of(tracker, "mask")[:1]]
    lost = tracker.answer(continuing(seen, 2) | GONE)
    assert all(state["outside"] for state in lost["states"])
    function = restarted(model)
    first = answer(function, continuing(lost["states"], 2))
    assert first["shapes"] == lost["shapes"]
    assert first["states"][1] is None
    assert answer(function, continuing(first["states"], 3))["shapes"] == lost["shapes"]


def test_a_mask_whose_state_has_no_box_yet_is_lost(tracker: Function, model: VideoTracker) -> None:
    (state,) = states_of(tracker, "mask")[:1]
    assert answer(restarted(model), continuing([state | {"box": None}], 2)) == {"shapes": [None], "states": [None]}


@pytest.mark.parametrize("on_expired", OnExpired)
def test_another_models_state_is_gone_and_no_reason_to_start_again(
    tracker: Function, model: VideoTracker, on_expired: OnExpired
) -> None:
    """The tracker was deployed anew with another model or precision: people and scripts begin the track again."""
    state = states_of(tracker, "rectangle")[0] | {"model": "another"}
    with pytest.raises(GoneError, match="with another model or precision than runs now, start tracking again"):
        restarted(model, on_expired)(continuing([state], 2))


def test_a_store_that_cannot_be_reached_is_no_reason_to_start_again(tracker: Function, model: VideoTracker) -> None:
    states = states_of(tracker, "rectangle")
    with running_redis() as server:
        store = RedisStore(connect("127.0.0.1", server.port), InProcessStore(2**30), read_entry)
        function = TrackerFunction(model, store, TrackerSettings(on_expired=OnExpired.RESTART))
        server.hang()
        with pytest.raises(NotReadyError):
            function(continuing(states, 2))
        server.go_on()
    with running_redis() as server:
        store = RedisStore(connect("127.0.0.1", server.port), InProcessStore(2**30), read_entry)
        function = TrackerFunction(model, store, TrackerSettings(on_expired=OnExpired.RESTART))
        assert answer(function, continuing(states, 2))["states"][0]["step"] == 0, "one that answers has said: not there"
