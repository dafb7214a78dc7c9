"""Servers and functions that answer late, or break the connection, while ``promptable annotate`` is at work."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from promptable.cvat import functions
from promptable.cvat.annotate import detector, run
from promptable.cvat.annotate.writing import upload
from promptable.cvat.server import late_requests
from promptable.cvat.server.http import rest
from tests.cvat.annotating import TASK, annotate, asked_frames, detect, prepare, stored
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn

PATIENCE = 1.0
LATE = 2.0
"""Seconds after which nobody listens any more."""


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


@pytest.fixture(autouse=True)
def patience(whole: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits a moment for an answer (``whole`` still waited), and looks for what it sent for long."""
    monkeypatch.setattr(rest, "_TIMEOUT", (PATIENCE, PATIENCE))
    monkeypatch.setattr(functions, "_TIMEOUT", (PATIENCE, PATIENCE))
    monkeypatch.setattr(functions, "_RETRIES", functions._RETRIES.new(total=2, backoff_factor=0))
    monkeypatch.setattr(detector, "PAUSES", (0.0,))
    monkeypatch.setattr(late_requests, "POLL_PAUSES", (1.0,) * 8)
    monkeypatch.setattr("time.sleep", lambda seconds: threading.Event().wait(seconds / 5))


def test_a_write_that_is_stored_after_nobody_listens_is_found_and_not_sent_again(
    cvat: StandIn, whole: list[tuple[Any, ...]]
) -> None:
    cvat.slow_writes = [LATE]
    assert annotate(cvat, "--frames", "5-7") == 0
    assert stored(cvat) == whole
    assert sum(asked.startswith("PATCH") for asked in cvat.asked) == 1


@pytest.mark.parametrize("then", ["run", "undo"])
def test_a_write_that_is_stored_after_it_was_sent_again_goes_with_the_next_command(
    cvat: StandIn, whole: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """A server that is at a request for longer than anybody looks for what it stored."""
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    cvat.slow_writes = [LATE]
    assert annotate(cvat, "--frames", "5-7") == 0
    assert stored(cvat) == whole
    _wait_for(lambda: len(stored(cvat)) == 2 * len(whole))
    person = Person(cvat, TASK)
    person.drag(person.shapes(6)[-1], [1, 2, 3, 4])  # of those that came late, in an editor that was open
    assert annotate(cvat, "--frames", "5-7", *(["--undo", "2"] if then == "undo" else [])) == 0
    theirs = [one for one in stored(cvat) if one[6] == "semi-auto"]
    assert len(theirs) == 1, "what people have touched stays"
    assert [one for one in stored(cvat) if one not in theirs] == ([] if then == "undo" else whole)


def test_a_write_that_is_stored_while_the_run_goes_on_is_there_once_at_its_end(
    cvat: StandIn, whole: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    monkeypatch.setattr(run, "_UPLOAD_FRAMES", 1)
    monkeypatch.setattr(functions, "_TIMEOUT", (20, 20))
    shapes = [one for one in whole if one[1:3] == ("shapes", 5)]
    cvat.slow_writes = [LATE]

    def patient(request: Mapping[str, Any]) -> Any:
        if len(asked_frames(cvat)) == 3:
            _wait_for(lambda: sum(one in shapes for one in stored(cvat)) == 2 * len(shapes))
        return detect(request)

    cvat.answers = {"": patient}
    assert annotate(cvat, "--frames", "5-7", "--concurrency", "1") == 0
    assert stored(cvat) == whole


def test_what_was_sent_again_is_looked_for_until_nothing_can_arrive_any_more(
    cvat: StandIn, whole: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    cvat.refused_writes = [500]
    assert annotate(cvat, "--frames", "5-7") == 0

    def reads() -> int:
        cvat.asked.clear()
        assert annotate(cvat, "--frames", "5-7") == 0
        return sum(one == "GET /api/jobs/2/annotations" for one in cvat.asked)

    before = reads()
    monkeypatch.setattr(late_requests, "_LATEST", timedelta())
    assert reads() == before, "a last time"
    assert reads() == before - 1


def _wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happened():
            return
        threading.Event().wait(0.01)
    raise TimeoutError


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


def test_one_that_is_stored_after_its_run_was_taken_back_goes_too(
    cvat: StandIn, whole: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run gave up before the server had stored any."""
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    monkeypatch.setattr(upload, "_TRIES", 0)
    cvat.late_writes = 1
    assert annotate(cvat, "--frames", "5-7") == 1
    assert annotate(cvat, "--undo", "2") == 0
    assert "the next annotate on this task takes that away, --undo 2 among them" in capsys.readouterr().out
    cvat.store_late()
    assert stored(cvat) == whole
    assert annotate(cvat, "--undo", "2") == 0
    assert not stored(cvat)


def test_while_it_looks_for_a_lost_write_it_says_so(
    cvat: StandIn, whole: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.slow_writes = [LATE]
    assert annotate(cvat, "--frames", "5-7") == 0
    said = (
        "CVAT gave no answer to a write into job 2, and it is not there yet: looking again in 1 s, giving it up in 8 s"
    )
    assert capsys.readouterr().err.count(said) == 1
