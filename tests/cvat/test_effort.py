"""``promptable effort`` over the stand-in server: people of a script correct what a run wrote, and all is counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.cvat.annotate import detector, same
from tests.cvat.annotating import TASK, annotate, prepare
from tests.cvat.reviewing import Person
from toy.cvat.stand_in import StandIn

RUST, SCRATCH, SIDE, REVIEW = 0, 3, 9, 8


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(same, "SETTLING", ())
    monkeypatch.setattr(detector, "PAUSES", ())


@pytest.fixture
def person(cvat: StandIn) -> Person:
    """Before a task whose run has written 11 boxes: 5 in job 1 on frames 1 to 3, 6 in job 2 on frames 5 to 9."""
    prepare(cvat)
    cvat.labels["task_id", TASK].append(("scratch", "rectangle"))
    assert annotate(cvat) == 3
    return Person(cvat, TASK)


def effort(cvat: StandIn, folder: Path, *options: str) -> Any:
    """The report of task 3, as JSON."""
    page = folder / "effort.html"
    assert main(["effort", "--task", str(TASK), "--url", cvat.url, "--output", str(page), *options]) == 0
    return json.loads(page.with_suffix(".json").read_text())


def correct_job_1(person: Person) -> None:
    """Of each kind one; boxes are 5 wide, from the frame's number down to 40."""
    strong, weak = person.shapes(2)
    person.drag(strong, [10, 2, 15, 39])  # 37 of 38 pixels high: IoU .974
    person.relabel(weak, SCRATCH)
    strong, weak = person.shapes(3)
    person.drag(strong, [10, 3, 15, 33])  # 30 of 37: .811
    person.delete(weak)
    person.add(3, RUST, [40, 3, 50, 20])
    person.add(0, SCRATCH, [1, 1, 9, 9])  # nobody looked for scratches: none was missed
    person.complete(1)


def test_corrections_are_counted_on_frames_of_completed_jobs(person: Person, tmp_path: Path) -> None:
    correct_job_1(person)
    report = effort(person.cvat, tmp_path)
    counts = {"unchanged": 1, "minor edit": 1, "edited": 1, "reworked": 0, "relabelled": 1, "deleted": 1}
    expected = {"automatic": 5, "accepted": 2, **counts, "added by hand": 1}
    assert report["total"] == {"name": "all", **expected}
    assert report["labels"] == [{"name": "rust", **expected}]
    assert report["relabelled"] == [{"from": "rust", "to": "scratch", "count": 1}]
    assert report["reviewed"] == {"what": "the frames of completed jobs", "frames": 4}, "frame 4 failed"
    assert report["not reviewed"] == {"frames": 5, "objects": {"rust": 6}}
