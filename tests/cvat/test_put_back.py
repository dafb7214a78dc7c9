"""What a run deleted is there again when it is taken back: people's work and what earlier runs wrote, as it was."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.annotate import detector, run
from promptable.cvat.journal import JournalReader
from promptable.cvat.server import annotations, late_requests
from tests.cvat.annotating import ATTRIBUTES, TASK, annotate, detect, prepare
from tests.cvat.killing import assert_same_wherever_killed, run_until
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn

RUST, REVIEW, SIDE = 0, 1, 9
FRAMES = ("--frames", "1-3,5-7", "--concurrency", "1")
MASK = (0, 4, 10, 10, 11, 11)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting, and batches of two frames."""
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    monkeypatch.setattr(detector, "PAUSES", (0.0,))
    monkeypatch.setattr(run, "_UPLOAD_FRAMES", 2)


@pytest.fixture
def person(cvat: StandIn) -> Person:
    """At a task where a run has been, and people have corrected and drawn."""
    prepare(cvat)
    return _work(cvat)


def _work(cvat: StandIn) -> Person:
    person = Person(cvat, TASK)
    assert annotate(cvat, *FRAMES) == 0
    dragged, edited, *_ = person.shapes(2) + person.shapes(6)
    person.drag(dragged, [12, 2, 18, 40])
    person.edit(edited, SIDE, "right")
    person.add(3, RUST, MASK, "mask", z_order=2, occluded=True, group=4, score=0.25)
    person.add(5, RUST, [1, 1, 9, 9], rotation=30.0, source="semi-auto")
    person.add(5, RUST, [1, 1, 5, 5, 9, 1], "polyline", outside=True)
    person.tag(6, REVIEW)
    return person


def _held(cvat: StandIn) -> Mapping[int, Any]:
    """What the jobs hold, ids included, in their order."""
    read = {job: cvat.annotations.read(job, ATTRIBUTES) for job in (1, 2)}
    return {job: {kind: _sorted(of_job[kind]) for kind in ("shapes", "tags", "tracks")} for job, of_job in read.items()}


def _sorted(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one in items:
        one["attributes"] = sorted(one["attributes"], key=lambda value: int(value["spec_id"]))
    return sorted(items, key=lambda one: int(one["id"]))


@pytest.mark.parametrize("mode", ["--replace", "--replace-all"])
def test_the_frames_are_as_they_were(mode: str, person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    before = _held(person.cvat)
    assert annotate(person.cvat, *FRAMES, mode, "--yes") == 0
    assert _held(person.cvat) != before
    assert annotate(person.cvat, "--undo", "last") == 0
    assert _held(person.cvat) == before
    deleted = {"--replace": 12, "--replace-all": 18}[mode]
    assert f"annotations removed, {deleted} put back\n" in capsys.readouterr().out
    assert annotate(person.cvat, "--undo", "2") == 0
    assert _held(person.cvat) == before
    assert "put back" not in capsys.readouterr().out


def test_large_masks_go_in_several_requests(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy before CVAT waits for a minute, in which a busy server stores or deletes so many numbers at most."""
    cvat, before = person.cvat, _held(person.cvat)
    monkeypatch.setattr(annotations, "_MOST_NUMBERS", 20)
    assert annotate(cvat, *FRAMES, "--replace-all", "--yes") == 0
    sizes, patch = [], cvat.annotations.patch

    def noted(job: int, action: str, given: Mapping[str, Any]) -> dict[str, Any]:
        sizes.append(sum(len(one["points"]) for one in given["shapes"]))
        return patch(job, action, given)

    monkeypatch.setattr(cvat.annotations, "patch", noted)
    assert annotate(cvat, "--undo", "2") == 0
    assert len(sizes) > 4
    assert max(sizes) <= 20 + len(MASK)
    assert _held(cvat) == before


@pytest.mark.parametrize(("mode", "stride"), [("--replace", 8), ("--replace-all", 4)])
def test_wherever_a_run_is_killed_its_undo_brings_everything_back(
    mode: str, stride: int, cvat: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, killed = 0, True
    while killed:
        _fresh(cvat, tmp_path / f"run-{step}", monkeypatch)
        before = _held(cvat)
        _, killed = run_until(step, lambda: annotate(cvat, *FRAMES, mode, "--yes"))
        annotate(cvat, "--undo", "2")
        assert _held(cvat) == before, f"killed before step {step}"
        step += stride
    assert step > 20, "there are that many places to stop at"


def test_wherever_an_undo_is_killed_it_can_go_on(
    cvat: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh(number: int) -> None:
        _fresh(cvat, tmp_path / f"undo-{number}", monkeypatch)
        assert annotate(cvat, *FRAMES, "--replace-all", "--yes") == 0

    assert assert_same_wherever_killed(fresh, lambda: annotate(cvat, "--undo", "2"), lambda: _held(cvat)) > 5


@pytest.mark.parametrize("then", ["the same", "undo"])
def test_what_people_did_between_two_tries_of_a_run_is_not_undone(
    then: str, person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    """Noted as going, then the server failed, and before the run went on a person took it over."""
    cvat = person.cvat
    cvat.refused_writes = [403]
    assert annotate(cvat, *FRAMES, "--replace") == 1
    person.drag(person.shapes(1)[0], [13, 3, 19, 41])
    before = _held(cvat)
    if then == "the same":
        assert annotate(cvat, *FRAMES, "--replace") == 0
        theirs, _ = person.shapes(1)
        person.delete(theirs)
        before[1]["shapes"].remove(next(one for one in before[1]["shapes"] if one["id"] == theirs["id"]))
    assert annotate(cvat, "--undo", "2") == 0
    assert _held(cvat) == before


def test_what_a_run_deleted_without_an_answer_is_known_as_its_own_doing(person: Person, tmp_path: Path) -> None:
    """Not as people's, who are measured by it."""
    cvat = person.cvat
    cvat.lost_answers = 1
    assert annotate(cvat, "--frames", "1", "--replace-all", "--yes") == 1
    assert not person.shapes(1)
    assert annotate(cvat, "--frames", "1", "--replace-all", "--yes") == 0
    (path,) = tmp_path.rglob("*.sqlite")
    with closing(JournalReader(path)) as journal:
        assert [
            one.state for state in ("stored", "removed") for one in journal.uploads(frame=1, run=1, state=state)
        ] == ["removed"]


def test_what_was_put_back_is_known_as_automatic(person: Person) -> None:
    cvat = person.cvat
    assert annotate(cvat, "--replace-all", "--yes", *FRAMES) == 0
    assert annotate(cvat, "--undo", "2") == 0
    assert annotate(cvat, "--undo", "1") == 0
    assert len([one for frame in range(10) for one in person.shapes(frame)]) == 5, "people's"


def test_what_people_have_drawn_since_stays_and_nothing_is_put_upon_it(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat = person.cvat
    assert annotate(cvat, *FRAMES, "--replace-all", "--yes") == 0
    new, *_ = person.shapes(7)
    person.drag(new, [10, 6, 16, 40])  # moved a little: one of the two that the first run had here
    drawn = person.add(3, RUST, [40, 1, 50, 9])  # somewhere else
    tag = person.tag(6, REVIEW)
    assert annotate(cvat, "--undo", "2") == 0
    assert [one["id"] for one in person.shapes(7)][1:] == [new["id"]]
    assert len(person.shapes(3)) == 4
    assert drawn in [one["id"] for one in person.shapes(3)]
    assert [one["id"] for one in person.shapes(6, "tags")] == [tag]
    said = capsys.readouterr().out
    assert "not put back: 3 annotations in whose place another one of the same label was added since\n" in said


def test_what_an_open_editor_made_again_stays_as_it_is(person: Person) -> None:
    """CVAT's editor saves by id, and CVAT creates an id again that is gone."""
    (one,) = person.shapes(1)
    assert annotate(person.cvat, *FRAMES, "--replace-all", "--yes") == 0
    person.drag(one, [13, 3, 19, 41])
    again = dict(person.shapes(1)[0])
    assert annotate(person.cvat, "--undo", "2") == 0
    assert person.shapes(1) == [again]


def test_what_people_deleted_after_it_was_put_back_stays_deleted(person: Person) -> None:
    assert annotate(person.cvat, *FRAMES, "--replace-all", "--yes") == 0
    assert annotate(person.cvat, "--undo", "2") == 0
    person.delete(person.shapes(1)[0])
    assert annotate(person.cvat, "--undo", "2") == 0
    assert person.shapes(1) == []


def test_a_label_or_attribute_that_is_gone_is_left_out(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    cvat = person.cvat
    cvat.labels["task_id", TASK].append(("crack", "rectangle"))
    person.add(1, 3, [30, 1, 40, 9])
    assert annotate(cvat, *FRAMES, "--replace-all", "--yes") == 0
    cvat.labels["task_id", TASK].pop()
    cvat.attributes = ATTRIBUTES[:2]
    assert annotate(cvat, "--undo", "2") == 0
    assert "not put back: 1 annotation whose label the task no longer has\n" in capsys.readouterr().out
    assert [one["label_id"] for one in person.shapes(1)] == [RUST]
    assert [value["spec_id"] for value in person.shapes(2)[0]["attributes"]] == [7, 8]


def test_jobs_that_people_have_handed_in_stay_as_they_are(person: Person) -> None:
    cvat = person.cvat
    before = _held(cvat)
    assert annotate(cvat, *FRAMES, "--replace-all", "--yes") == 0
    handed_in = _held(cvat)[1]
    person.complete(1)
    assert annotate(cvat, "--undo", "2") == 0
    assert _held(cvat) == {1: handed_in, 2: before[2]}
    assert annotate(cvat, "--undo", "2", "--include", "completed") == 0
    assert _held(cvat) == before


def test_what_a_later_run_has_replaced_comes_back_when_that_is_taken_back_too(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat = person.cvat
    before = _held(cvat)
    assert annotate(cvat, *FRAMES, "--replace-all", "--yes") == 0
    assert annotate(cvat, "--frames", "5-7", "--replace", "--min-confidence", "0.8") == 0
    last = _held(cvat)
    assert annotate(cvat, "--undo", "2") == 0
    assert _held(cvat) == {1: before[1], 2: last[2]}
    said = capsys.readouterr().out
    why = "on frames whose annotations run 3 has replaced since: --undo 3 first, then this again"
    assert f"not put back: 10 annotations {why}\n" in said
    assert annotate(cvat, "--undo", "3") == 0
    assert _held(cvat)[2] == {"shapes": [], "tags": [], "tracks": []}, "run 2, whose work it deleted, is taken back"
    assert annotate(cvat, "--undo", "2") == 0
    assert _held(cvat) == before


def test_a_frame_that_failed_in_a_later_run_is_put_back(person: Person) -> None:
    cvat = person.cvat
    before = _held(cvat)
    assert annotate(cvat, *FRAMES, "--replace-all", "--yes") == 0

    def fail(request: Any) -> Any:
        if request["floor"] < 1:
            raise ValueError("out of memory")
        return detect(request)

    cvat.answers = {"": fail}
    cvat.labels["task_id", TASK].pop()  # frames that failed are not marked
    assert annotate(cvat, *FRAMES, "--replace") == 3
    assert annotate(cvat, "--undo", "2") == 0
    assert _held(cvat) == before


def _fresh(cvat: StandIn, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    prepare(cvat)
    cvat.annotations = type(cvat.annotations)()
    _work(cvat)
