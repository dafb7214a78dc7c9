"""All three functions answer as recorded; ``python -m tests.golden.record`` records anew what is meant to change."""

import copy
import json
from typing import Any

import pytest

from tests.golden.alike import assert_alike
from tests.golden.replay import recorded, replay
from tests.golden.sessions import SESSIONS

WANTED = recorded()


def test_every_request_is_recorded() -> None:
    requests = [(name, request) for name, session in SESSIONS.items() for request in session.requests]
    assert list(WANTED) == requests


@pytest.mark.parametrize("name", SESSIONS)
def test_answers_are_as_recorded(name: str) -> None:
    for request, line in replay(SESSIONS[name], PROMPTABLE_DEVICE="cpu").items():
        assert_alike(json.loads(line), WANTED[name, request], f"{name}: {request}")


def _changed(answer: Any, *path: Any, by: Any) -> Any:
    answer = copy.deepcopy(answer)
    inner = answer
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = by(inner[path[-1]])
    return answer


@pytest.mark.parametrize(
    ("session", "request_name", "path", "change"),
    [
        ("detector", "a scene", (0, "confidence"), lambda score: score + 2e-4),
        ("detector", "a scene", (0, "label"), str.upper),
        ("detector", "a scene", (0, "mask", 20), lambda bit: bit + 2),
        ("detector", "a scene", (0, "mask"), lambda bits: [1] * 100 + bits[100:]),
        ("detector", "two scenes", (0, "points", 0), lambda x: x + 0.1),
        ("detector", "two scenes", (1, "points"), lambda points: [*points[:-2], 0, 0]),
        ("interactor", "a click", ("shapes", 0, "points", -2), lambda right: right + 1),
        ("interactor", "a click", ("shapes", 0, "attributes", 0, "value"), lambda score: f"{float(score) + 2e-4}"),
        ("interactor", "nothing", ("error",), lambda sentence: sentence + "."),
        ("interactor, masks of before CVAT 2.60", "a click", ("mask", 0), lambda row: [1] * len(row)),
        ("tracker", "three objects, frame 1", ("shapes", 2), lambda _: None),
        ("tracker", "three objects, frame 1", ("states", 0, "step"), lambda step: step + 1),
        ("tracker", "bare, frame 1", ("shapes", 0, 0), lambda left: left + 1),
        ("tracker", "bare, frame 1", ("states", 0, "memories"), lambda ids: ids[:-1]),
    ],
)
def test_a_changed_answer_is_noticed(session: str, request_name: str, path: tuple[Any, ...], change: Any) -> None:
    wanted = WANTED[session, request_name]["body"]
    assert_alike(wanted, wanted)
    with pytest.raises((AssertionError, ValueError)):
        assert_alike(_changed(wanted, *path, by=change), wanted)
