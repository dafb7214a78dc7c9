"""Killed at any point and run again, ``promptable propagate`` ends as if nothing had happened."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.server import late_requests
from promptable.errors import GoneError
from tests.cvat.killing import assert_same_wherever_killed, run_until
from tests.cvat.propagating import TASK, asked, draw, draw_track, frame_of, prepare, propagate, stored, track
from toy.cvat.stand_in import StandIn

JOBS = [(1, "annotation", 0, 3), (2, "annotation", 2, 5)]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting."""
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())


@pytest.fixture
def fresh(cvat: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], None]:
    """A shape, a mask and a track, as people left them, and an empty journal."""

    def forget(number: int) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state-{number}"))
        prepare(cvat, jobs=JOBS)
        cvat.annotations = type(cvat.annotations)()
        cvat.bodies.clear()
        draw(cvat, (10, 20, 30, 40))
        draw(cvat, (1, 1, 1, 3, 10, 50, 12, 51), "mask")
        draw_track(cvat, [(0, (50, 60, 70, 80), False), (4, (90, 60, 110, 80), False)])

    return forget


def test_killed_at_every_point_and_run_again_the_annotations_are_the_same(
    cvat: StandIn, fresh: Callable[[int], None]
) -> None:
    steps = assert_same_wherever_killed(fresh, lambda: propagate(cvat, "--to", "5"), lambda: stored(cvat))
    assert steps > 20, "there are that many places to stop at"


def test_a_job_that_was_handed_in_before_a_run_goes_on_is_left(
    cvat: StandIn, fresh: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh(0)
    cvat.refused_writes = [403]
    assert propagate(cvat) == 1
    before = cvat.annotations.read(2)
    cvat.tasks[TASK] = replace(cvat.tasks[TASK], states={2: "completed"})
    assert propagate(cvat) == 0
    assert cvat.annotations.read(2) == before
    assert len(cvat.annotations.read(1)["tracks"]) == 2
    said = capsys.readouterr().out
    assert "left alone: job 2: people have handed it in before all was written into it\n" in said
    assert "run 1: 2 tracks of " in said


def test_an_undo_that_is_killed_ends_as_if_nothing_had_happened(cvat: StandIn, fresh: Callable[[int], None]) -> None:
    points = 0
    while True:
        fresh(points)
        before = stored(cvat)
        propagate(cvat)
        _, killed = run_until(points, lambda: propagate(cvat, "--undo", "1"))
        assert propagate(cvat, "--undo", "1") == 0
        assert stored(cvat) == before, f"killed before step {points}"
        if not killed:
            break
        points += 1
    assert points > 4


def test_what_was_followed_is_not_followed_again(cvat: StandIn, fresh: Callable[[int], None]) -> None:
    fresh(0)
    assert propagate(cvat, "--dry-run") == 0
    _, killed = run_until(10, lambda: propagate(cvat))
    assert killed
    frames = [frame for frame, _ in asked(cvat)]
    assert propagate(cvat) == 0
    assert [frame for frame, _ in asked(cvat)] == sorted([*range(6), frames[-1]])


def forget(cvat: StandIn, refusals: list[Exception], *, after: int = 0) -> None:
    """The tracker refuses to go on from states, so many times after it has done so."""
    answer, done = cvat.answers[""], [None] * after

    def forgetful(request: Any) -> Any:
        if "states" in request and done:
            done.pop()
        elif "states" in request and refusals:
            raise refusals.pop()
        return answer(request)

    cvat.answers = {"": forgetful}


@pytest.mark.parametrize("refusal", [GoneError("a state has expired"), ValueError("Invalid or expired tracker state")])
def test_a_tracker_that_has_forgotten_its_states_is_begun_again(
    cvat: StandIn, fresh: Callable[[int], None], refusal: Exception
) -> None:
    """The tracker says so, or CVAT, whose signature of a state lasts 8 hours."""
    fresh(0)
    assert propagate(cvat) == 0
    whole = stored(cvat)
    fresh(1)
    run_until(12, lambda: propagate(cvat))
    refusals = [refusal]
    forget(cvat, refusals)
    assert propagate(cvat) == 0
    assert not refusals
    assert stored(cvat) == whole


def test_one_that_restarts_in_the_middle_of_a_run_is_begun_again_once(
    cvat: StandIn, fresh: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh(0)
    assert propagate(cvat) == 0
    whole = stored(cvat)
    fresh(1)
    refusals: list[Exception] = [GoneError("a state has expired")]
    forget(cvat, refusals, after=3)
    assert propagate(cvat) == 0
    assert not refusals
    assert stored(cvat) == whole
    fresh(2)
    forget(cvat, [GoneError("a state has expired") for _ in range(9)], after=3)
    assert propagate(cvat) == 1
    assert "answered 410: a state has expired" in capsys.readouterr().err


def test_other_options_do_not_go_on_with_it(
    cvat: StandIn, fresh: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh(0)
    run_until(10, lambda: propagate(cvat))
    assert propagate(cvat, "--to", "3") == 1
    assert "run 1 is unfinished and was begun with --to not given, now 3" in capsys.readouterr().err
    assert propagate(cvat, "--shapes", "100,101") == 1
    assert "begun with --shapes not given, now 100,101" in capsys.readouterr().err
    assert propagate(cvat, "--to", "3", "--new-run") == 0


def test_an_attribute_that_goes_while_a_run_follows_is_left_out(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    prepare(cvat)
    draw(cvat, (10, 20, 30, 40), attributes=[{"spec_id": 7, "value": "AB"}, {"spec_id": 8, "value": "true"}])

    def without_plate(request: Mapping[str, Any]) -> Any:
        cvat.attributes = [one for one in cvat.attributes if one["id"] != 7 or frame_of(request) < 19]
        return track(request)

    cvat.answers = {"": without_plate}
    assert propagate(cvat) == 0
    found = [cvat.annotations.read(job)["tracks"] for job in (1, 2)]
    assert [[one["attributes"] for one in tracks] for tracks in found] == [[[]], [[]]]


def test_what_cvat_refuses_goes_on_at_once(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, fresh: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh(0)
    assert propagate(cvat) == 0
    whole = stored(cvat)
    fresh(1)
    monkeypatch.setattr(late_requests, "POLL_PAUSES", (0.0,))
    cvat.refused_writes = [400]
    assert propagate(cvat) == 1
    assert propagate(cvat) == 0
    assert stored(cvat) == whole
    said = capsys.readouterr()
    assert "gave no answer" not in said.err + said.out


def test_a_run_that_was_refused_is_taken_back_at_once(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, fresh: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh(0)
    monkeypatch.setattr(late_requests, "POLL_PAUSES", (0.0,))
    before = stored(cvat)
    cvat.refused_writes = [400]
    assert propagate(cvat) == 1
    assert propagate(cvat, "--undo", "1") == 0
    assert stored(cvat) == before
    said = capsys.readouterr()
    assert "gave no answer" not in said.err + said.out
