"""A task that is moved into a project: CVAT gives its labels and their attributes other numbers."""

from pathlib import Path
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.cvat.annotate import detector
from promptable.cvat.journal import Journal
from promptable.cvat.server import late_requests
from tests.cvat import propagating
from tests.cvat.annotating import TASK, annotate, prepare, stored
from tests.cvat.propagating import draw, propagate
from toy.cvat.stand_in import StandIn


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(detector, "PAUSES", ())
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())


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


def test_a_label_that_is_lost_is_named(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """It was renamed since, and CVAT gave the renamed one another number."""
    prepare(cvat)
    assert annotate(cvat, "--frames", "5-7") == 0
    cvat.labels["task_id", TASK][0] = ("corrosion", "rectangle")
    cvat.move_into_project()
    assert annotate(cvat, "--undo", "1") == 0
    said = capsys.readouterr().err
    assert "the task has lost the label 'rust': what runs wrote under it counts as people's" in said


def test_points_of_a_skeleton_have_labels_too(tmp_path: Path) -> None:
    def listed(first: int) -> list[dict[str, Any]]:
        points = [{"id": first + 1, "name": "knee", "attributes": [{"id": first + 2, "name": "sure"}]}]
        return [{"id": first, "name": "leg", "attributes": [], "sublabels": points}]

    element = {"label_id": 11, "points": [11, 12], "attributes": [{"spec_id": 12, "value": "1"}]}
    journal = Journal(tmp_path / "journal.sqlite")
    journal.follow_labels(listed(10))
    leg = {"id": 1, "frame": 0, "label_id": 10, "attributes": [], "elements": [element]}
    held: dict[str, list[Any]] = {"shapes": [leg], "tags": []}
    journal.keep(1, 1, held, held)
    journal.follow_labels(listed(20))
    (kept,) = journal.kept(1, 1)
    journal.close()
    assert kept.item["label_id"] == 20
    assert kept.item["elements"] == [{**element, "label_id": 21, "attributes": [{"spec_id": 22, "value": "1"}]}]
