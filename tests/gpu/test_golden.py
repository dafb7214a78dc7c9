"""The functions answer on a GPU, with and without CUDA graphs, what was recorded on a CPU."""

import json

import pytest

from tests.golden.alike import assert_alike
from tests.golden.replay import recorded, replay
from tests.golden.sessions import SESSIONS

WANTED = recorded()


@pytest.mark.parametrize("cuda_graphs", ["false", "true"])
@pytest.mark.parametrize("name", SESSIONS)
def test_answers_are_as_recorded(name: str, cuda_graphs: str) -> None:
    found = replay(SESSIONS[name], PROMPTABLE_DEVICE="cuda", PROMPTABLE_CUDA_GRAPHS=cuda_graphs)
    for request, line in found.items():
        assert_alike(json.loads(line), WANTED[name, request], f"{name}: {request}")
