"""The functions answer on a (simulated) GPU what they answer on the CPU."""

import json
from collections.abc import Iterator

import pytest

from tests.golden.alike import assert_alike
from tests.golden.replay import recorded, replay
from tests.golden.sessions import SESSIONS
from tests.simulated_cuda import simulated_cuda

WANTED = recorded()


@pytest.fixture(autouse=True)
def _cuda() -> Iterator[None]:
    with simulated_cuda():
        yield


@pytest.mark.parametrize("name", SESSIONS)
def test_answers_are_as_recorded(name: str) -> None:
    for request, line in replay(SESSIONS[name], PROMPTABLE_DEVICE="cuda").items():
        assert_alike(json.loads(line), WANTED[name, request], f"{name}: {request}")
