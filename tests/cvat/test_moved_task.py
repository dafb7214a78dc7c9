"""A task that is moved into a project: CVAT gives its labels and their attributes other numbers."""

from pathlib import Path

import pytest

from promptable.cli.main import main
from promptable.cvat.annotate import detector
from promptable.cvat.server import sent
from tests.cvat import propagating
from tests.cvat.annotating import TASK, annotate, prepare, stored
from tests.cvat.propagating import draw, propagate
from toy.cvat.stand_in import StandIn


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(detector, "PAUSES", ())
    monkeypatch.setattr(sent, "SETTLING", ())


def _effort(cvat: StandIn, page: Path) -> str:
    source = ["--task", str(TASK), "--url", cvat.url]
    assert main(["effort", *source, "--reviewed", "all", "--output", str(page)]) == 0
    return page.with_suffix(".json").read_text()


def test_what_an_earlier_run_wrote_is_replaced(cvat: StandIn) -> None:
    prepare(cvat)
    assert annotate(cvat, "--frames", "5-7") == 0
    cvat.move_into_project()
    before = stored(cvat)
    assert annotate(cvat, "--frames", "5-7", "--replace") == 0
    assert stored(cvat) == before
    assert len(before) == 7


def test_what_people_changed_stays_theirs(cvat: StandIn) -> None:
    prepare(cvat)
    assert annotate(cvat, "--frames", "5-7") == 0
    held = cvat.annotations.job(2).by_kind["shapes"]
    held[min(held)] |= {"points": [1, 1, 9, 9]}
    cvat.move_into_project()
    assert annotate(cvat, "--undo", "1") == 0
    assert list(held) == [min(held)]


def test_a_run_that_was_replaced_comes_back_with_the_labels_that_there_are_now(cvat: StandIn) -> None:
    prepare(cvat)
    assert annotate(cvat, "--frames", "5-7") == 0
    before = stored(cvat)
    assert annotate(cvat, "--frames", "5-7", "--replace", "--min-confidence", "0.8") == 0
    cvat.move_into_project()
    assert annotate(cvat, "--undo", "2") == 0
    assert [(one[2], one[4], one[3] - 1000) for one in stored(cvat)] == [(one[2], one[4], one[3]) for one in before]


def test_tracks_of_a_run_are_not_taken_for_peoples(cvat: StandIn) -> None:
    propagating.prepare(cvat)
    draw(cvat, (10, 20, 30, 40), attributes=[{"spec_id": 7, "value": "AB"}])
    assert propagate(cvat) == 0
    cvat.move_into_project()
    before = propagating.stored(cvat)
    assert propagate(cvat) == 0
    assert propagating.stored(cvat) == before
    assert [propagate(cvat, "--undo", run) for run in ("2", "1")] == [0, 0]
    assert len(propagating.stored(cvat)) == 1


def test_effort_finds_what_nobody_changed(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    assert annotate(cvat, "--frames", "5-7") == 0
    before = _effort(cvat, tmp_path / "effort.html")
    cvat.move_into_project()
    assert _effort(cvat, tmp_path / "effort.html") == before
    assert '"unchanged": 5' in before
