"""Every function looks before each request how many cores the other programs leave to it."""

import pytest

from promptable.models.cores import threads
from tests.functions.conftest import Function
from tests.functions.requests import good_request


class _Counting:
    """Stands for the cores of a function whose models are large."""

    taken = 0

    def take(self) -> None:
        self.taken += 1


def test_once_a_request(function: Function, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = _Counting()
    monkeypatch.setattr(threads, "_shared", [cores])
    body = good_request(request.node.callspec.params["function"])
    function.answer(body)
    function.answer(body)
    assert cores.taken == 2
