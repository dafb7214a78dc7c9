"""Servers and functions that answer late, or break the connection, while ``promptable annotate`` is at work."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest
import urllib3

from promptable.cvat import functions
from promptable.cvat.annotate import detector
from promptable.cvat.annotate.writing import same
from promptable.cvat.server import rest
from tests.cvat.annotating import annotate, asked_frames, detect, prepare, stored
from toy.cvat.stand_in import StandIn

PATIENCE = 0.3
LATE = 0.9
"""Seconds after which nobody listens any more."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits a moment for an answer, and looks for what it sent as long as a slow server needs."""
    monkeypatch.setattr(rest, "_TIMEOUT", (PATIENCE, PATIENCE))
    monkeypatch.setattr(functions, "_TIMEOUT", urllib3.Timeout(PATIENCE))
    monkeypatch.setattr(functions, "_RETRIES", functions._RETRIES.new(total=1, backoff_factor=0))
    monkeypatch.setattr(detector, "PAUSES", (0.0,))
    monkeypatch.setattr(same, "SETTLING", (1.0,) * 8)
    monkeypatch.setattr("time.sleep", lambda seconds: threading.Event().wait(seconds / 5))


@pytest.fixture
def whole(cvat: StandIn) -> list[tuple[Any, ...]]:
    """What a run over a server without flaws stores; the server is as it was before."""
    prepare(cvat)
    annotate(cvat, "--frames", "5-7")
    annotations = stored(cvat)
    annotate(cvat, "--undo", "1")
    assert not stored(cvat)
    cvat.asked.clear()
    cvat.bodies.clear()
    return annotations


def test_a_write_that_is_stored_after_nobody_listens_is_found_and_not_sent_again(
    cvat: StandIn, whole: list[tuple[Any, ...]]
) -> None:
    cvat.slow_writes = [LATE]
    assert annotate(cvat, "--frames", "5-7") == 0
    assert stored(cvat) == whole
    assert sum(asked.startswith("PATCH") for asked in cvat.asked) == 1


def test_reads_that_are_late_or_break_are_asked_again(cvat: StandIn, whole: list[tuple[Any, ...]]) -> None:
    seen: list[str] = []

    def flawed(request: Mapping[str, Any]) -> Any:
        if not seen and asked_frames(cvat):
            seen.append("once")
            cvat.slow, cvat.failures = [LATE], [(0, {}), (503, {"Retry-After": "0"})]
        return detect(request)

    cvat.answers = {"": flawed}
    assert annotate(cvat, "--frames", "5-7", "--concurrency", "1") == 0
    assert stored(cvat) == whole
    assert not cvat.slow
    assert not cvat.failures


@pytest.mark.parametrize("flaw", ["late", "broken"])
def test_a_function_that_is_late_or_breaks_is_asked_again(
    cvat: StandIn, whole: list[tuple[Any, ...]], flaw: str
) -> None:
    flaws = [flaw]

    def flawed(request: Mapping[str, Any]) -> Any:
        if asked_frames(cvat) and flaws:
            if flaws.pop() == "broken":
                raise ConnectionError
            threading.Event().wait(LATE)
        return detect(request)

    cvat.answers = {"": flawed}
    assert annotate(cvat, "--frames", "5-7") == 0
    assert stored(cvat) == whole
    assert len(asked_frames(cvat)) == 4, "one of the three frames twice"
