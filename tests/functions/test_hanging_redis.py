"""A Redis that accepts connections and never replies, costs a click or a start one short wait."""

import pytest

from promptable.store import circuit_breaker
from promptable.store.redis_server import CACHE_REPLY_SECONDS, REPLY_SECONDS
from tests.functions.conftest import TOY, Function
from tests.functions.requests import VIDEO, continuing, first_shapes, good_request, starting
from tests.redis_server import recorded_waits
from toy.redis_server import RedisServer


def test_a_click_waits_once_for_what_is_only_a_cache(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: now[0])
    interactor = Function("sam-interactor", {"PROMPTABLE_MODEL": str(TOY / "sam")} | server.variables)
    server.hang()
    with recorded_waits() as waits:
        first = interactor.answer(good_request("interactor"))
        assert waits == [CACHE_REPLY_SECONDS], "picture, earlier clicks and what is kept: one wait for all"
        assert interactor.answer(good_request("interactor")) == first
        interactor.answer(good_request("interactor", VIDEO[0].image))
        assert len(waits) == 1
        now[0] += 31
        interactor.answer(good_request("interactor", VIDEO[1].image))
        assert waits == [CACHE_REPLY_SECONDS] * 2, "half a minute later one request finds out again"


def test_a_track_starts_and_goes_on(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "monotonic", lambda: 1000.0)
    tracker = Function("sam2-tracker", {"PROMPTABLE_MODEL": str(TOY / "sam2")} | server.variables)
    server.hang()
    with recorded_waits() as waits:
        states = tracker.answer(starting(first_shapes("mask")))["states"]
        assert None not in tracker.answer(continuing(states, 1))["states"]
        assert waits == [REPLY_SECONDS]
