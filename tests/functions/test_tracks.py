"""Tracks as people use them: repeated, mixed, added to and dropped from, lost and found, and long."""

import json
import random
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
import pytest
import torch

from demo.client import encode_png
from demo.metrics import mask_iou
from promptable.models.sam2_video import MaskPrompt, VideoTracker
from promptable.serving.settings import TrackerSettings
from promptable.serving.tracker import Tracker
from promptable.store.memory_store import InProcessStore
from promptable.wire.masks import rle_to_mask
from tests.functions.conftest import Function
from tests.functions.requests import VIDEO, continuing, first_shapes, starting
from tests.toy.scenes import scene

HW = (192, 192)
GONE = {"image": encode_png(np.full((*HW, 3), 110, np.uint8))}
Answer = dict[str, Any]


@pytest.fixture(scope="module")
def model(tracker: Function) -> VideoTracker:
    """The tracker's model, to be put behind other stores."""
    loaded: VideoTracker = tracker.context.user_data.answer._model
    return loaded


@pytest.fixture(scope="module")
def line(tracker: Function) -> list[Answer]:
    """The answers on all frames, of objects that were started together."""
    answers = [tracker.answer(starting(first_shapes("mask")))]
    for frame in range(1, len(VIDEO)):
        answers.append(tracker.answer(continuing(answers[-1]["states"], frame)))
    return answers


def _same(one: Any, other: Any) -> bool:
    """Objects that are stepped with others differ by last bits of float32, which may move a pixel."""
    if one is None or other is None:
        return one is other
    return mask_iou(rle_to_mask(one["points"], HW), rle_to_mask(other["points"], HW)) > 0.98


@pytest.mark.parametrize("seed", range(4))
def test_states_may_come_in_any_order_and_combination(tracker: Function, line: list[Answer], seed: int) -> None:
    """Of any steps, some twice, some not at all, some null: each is answered as in its own line."""
    rng = random.Random(seed)
    sent = [(rng.randrange(1, 9), rng.randrange(len(VIDEO[0].objects))) for _ in range(6)]
    states = [line[step]["states"][thing] for step, thing in sent]
    alone = [tracker.answer(continuing([state], 9))["shapes"][0] for state in states]
    together = tracker.answer(continuing([None, *states, None], 9))["shapes"]
    assert together[0] is together[-1] is None
    assert all(map(_same, together[1:-1], alone))


def test_a_retry_after_a_lost_answer_changes_nothing(tracker: Function, line: list[Answer]) -> None:
    for _ in range(3):
        again = tracker.answer(continuing(line[4]["states"], 5))
        assert again["shapes"] == line[5]["shapes"]
        assert tracker.answer(continuing(again["states"], 6))["shapes"] == line[6]["shapes"]


FORGED = {
    "backwards": lambda names: names[::-1],
    "without the prompted frame": lambda names: names[1:],
    "without a step between": lambda names: [*names[:3], *names[4:]],
    "without the last": lambda names: names[:-1],
    "with the first twice": lambda names: [names[0], *names],
    "with the last twice": lambda names: [*names, names[-1]],
    "with only the last": lambda names: names[-1:],
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize("step", [1, 9])
def test_memories_that_are_no_past_are_refused(
    tracker: Function, line: list[Answer], step: int, forge: Callable[[list[str]], list[str]]
) -> None:
    state = line[step]["states"][0]
    forged = forge(state["memories"])
    response = tracker.post(continuing([state | {"memories": forged}], step + 1))
    assert (response.status_code == 400) == (forged != state["memories"])


def test_an_object_is_added_on_a_later_frame(tracker: Function, line: list[Answer]) -> None:
    late = tracker.answer(starting(first_shapes("mask", 5)[:1], 5))["states"]
    alone = tracker.answer(continuing(late, 6))
    both = tracker.answer(continuing([*line[5]["states"], *late], 6))
    assert both["shapes"] == [*line[6]["shapes"], *alone["shapes"]]
    truth = VIDEO[6].objects[0].mask
    assert mask_iou(rle_to_mask(both["shapes"][-1]["points"], HW), truth) > 0.6


def test_dropping_an_object_leaves_the_others_as_they_were(tracker: Function, line: list[Answer]) -> None:
    kept = tracker.answer(continuing(line[5]["states"][1:], 6))
    assert all(map(_same, kept["shapes"], line[6]["shapes"][1:]))


def test_an_object_that_comes_back_is_picked_up_again(tracker: Function, line: list[Answer]) -> None:
    states = line[2]["states"]
    for _ in range(3):
        lost = tracker.answer(continuing(states, 3) | GONE)
        assert lost["shapes"] == [None] * len(states)
        states = lost["states"]
    for frame in (3, 4):
        back = tracker.answer(continuing(states, frame))
        states = back["states"]
    found = [
        shape is not None and mask_iou(rle_to_mask(shape["points"], HW), thing.mask) > 0.5
        for shape, thing in zip(back["shapes"], VIDEO[4].objects, strict=True)
    ]
    assert sum(found) >= len(found) / 2


def test_a_rectangle_is_outside_only_while_its_object_is_lost(tracker: Function) -> None:
    states = tracker.answer(starting(first_shapes("rectangle")))["states"]
    seen = tracker.answer(continuing(states, 1))
    lost = tracker.answer(continuing(seen["states"], 2) | GONE)
    back = tracker.answer(continuing(lost["states"], 2))
    assert all("outside" not in box for box in seen["shapes"])
    assert all(box["outside"] is True for box in lost["shapes"])
    assert not all(box.get("outside", False) for box in back["shapes"])


def test_pictures_need_not_be_of_one_video(tracker: Function) -> None:
    """A mask on one picture and the next picture of another scene and size: answers on that picture's grid."""
    states = tracker.answer(starting(first_shapes("polygon")))["states"]
    other = scene(30_000_001).image[:150]
    answer = tracker.answer(continuing(states, 1) | {"image": encode_png(other)})
    assert [state["size"] for state in answer["states"]] == [[150, 192]] * len(states)
    for shape in filter(None, answer["shapes"]):
        assert np.reshape(shape["points"], (-1, 2)).max(0)[1] <= 150


def test_start_and_continue_on_one_frame_encode_it_once(model: VideoTracker) -> None:
    """As CVAT's sidebar calls: objects that are drawn on a frame start on it after the others have come to it."""
    tracker = Tracker(model, InProcessStore(2**30), TrackerSettings())
    with patch.object(model, "encode_image", wraps=model.encode_image) as encode:
        states = json.loads(tracker(starting(first_shapes("mask"))))["states"]
        tracker(continuing(states, 1))
        assert encode.call_count == 2
        tracker(starting(first_shapes("rectangle", 1), 1))
        tracker(continuing(states, 1))
        assert encode.call_count == 2


def test_a_long_track_needs_no_more_memory_than_a_short_one(model: VideoTracker) -> None:
    """The store holds what the newest state needs, 16 pointers and 7 features, and a little for the next entries."""
    entry_bytes = 20_000  # features of 12 x 12 x 64 in bfloat16, with their header
    tracker = Tracker(model, InProcessStore(16 * 1_000 + 8 * entry_bytes), TrackerSettings())
    answer = json.loads(tracker(starting(first_shapes("mask")[:1])))
    resident = []
    for frame in range(1, 200):
        answer = json.loads(tracker(continuing(answer["states"], frame % len(VIDEO))))
        resident.append(psutil.Process().memory_info().rss)
    assert answer["states"][0]["step"] == 199
    assert len(json.dumps(answer["states"][0])) < 1_000
    assert max(resident[100:]) - max(resident[50:100]) < 20 * 2**20


def test_memories_in_bfloat16_give_the_masks_of_float32(model: VideoTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 100 frames, to and fro through the video. Upstream too rounds what it remembers, but no pointers."""
    frames = [model.encode_image(scene.image) for scene in VIDEO]
    rounded = _followed(model, frames)
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor)
    exact = _followed(model, frames)
    ious = [mask_iou(one, other) for one, other in zip(rounded, exact, strict=True)]
    assert min(ious) > 0.9
    assert np.mean(ious) > 0.99
    assert np.mean(ious[-20:]) > 0.99


def _followed(model: VideoTracker, frames: list[Any]) -> list[Any]:
    """The first object's masks in 100 frames."""
    bank = [model.start(frames[0], [MaskPrompt(VIDEO[0].objects[0].mask)])[0].memory]
    masks = []
    for step in range(1, 101):
        there = step % (2 * len(frames) - 2)
        (result,) = model.step(frames[min(there, 2 * len(frames) - 2 - there)], [step], [bank])
        bank = [*bank, result.memory]
        bank = [bank[position] for position in model.retained(bank)]
        masks.append(result.mask)
    return masks
