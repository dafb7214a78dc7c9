"""Killed at any point and run again, a run ends as if nothing had happened."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.annotate import detector, run
from promptable.cvat.annotate.writing import upload
from promptable.cvat.journal import Journal
from promptable.cvat.server import late_requests
from tests.cvat.annotating import ATTRIBUTES, TASK, annotate, asked_frames, detect, picture, prepare, stored
from tests.cvat.killing import run_until
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn

LABEL = 0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting, and batches of four frames."""
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    monkeypatch.setattr(detector, "PAUSES", (0.0,))
    monkeypatch.setattr(run, "_UPLOAD_FRAMES", 4)


def _in_a_process(cvat: StandIn, last: int | None, *options: str) -> tuple[int, bool]:
    """Run the command in a process that is killed before its step ``last``: (status, whether it was killed)."""
    return run_until(last, lambda: annotate(cvat, "--concurrency", "1", *options))


def _forget(cvat: StandIn, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state-{number}"))
    prepare(cvat)
    cvat.annotations = type(cvat.annotations)()
    cvat.asked.clear()
    cvat.bodies.clear()


@pytest.mark.parametrize(("mode", "stride"), [("--skip-annotated", 1), ("--replace", 3)])
def test_killed_at_every_point_and_run_again_the_annotations_are_the_same(
    cvat: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, stride: int
) -> None:
    def fresh(number: int) -> None:
        _forget(cvat, tmp_path, number, monkeypatch)
        if mode == "--replace":
            annotate(cvat, "--min-confidence", "0.5")

    fresh(0)
    assert annotate(cvat, "--concurrency", "1", mode) == 3
    whole = stored(cvat)
    points = 0
    while True:
        fresh(points + 1)
        status, killed = _in_a_process(cvat, points, mode)
        if not killed:
            break
        assert annotate(cvat, mode) == 3, f"killed before step {points}"
        assert stored(cvat) == whole, f"killed before step {points}"
        points += stride
    assert status == 3
    assert points > 20, "there are that many places to stop at"
    assert stored(cvat) == whole


def test_what_was_stored_without_an_answer_is_found_and_not_sent_again(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.lost_answers = 2
    annotate(cvat, "--concurrency", "1")
    once = stored(cvat)
    assert len(once) == len(set(once)) == 16
    assert sum(asked.startswith("PATCH") for asked in cvat.asked) == 4, "three batches and the tag of what failed"


@pytest.mark.parametrize("status", [0, 500, 503])
def test_what_was_not_stored_is_sent_again(cvat: StandIn, status: int) -> None:
    prepare(cvat)
    cvat.refused_writes = [status, status]
    annotate(cvat)
    assert len(set(stored(cvat))) == len(stored(cvat)) == 16


def test_equal_shapes_that_were_there_before_are_nobody_elses(cvat: StandIn) -> None:
    """Two runs of one model append the same; the second one's batch must not be taken for the first one's."""
    prepare(cvat)
    annotate(cvat)
    cvat.refused_writes = [500]
    annotate(cvat, "--append", "--yes")
    assert sum(kind == "shapes" for _, kind, *_ in stored(cvat)) == 22


def test_a_server_that_takes_nothing_stops_the_run_which_then_goes_on(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    cvat.refused_writes = [500] * 9
    assert annotate(cvat) == 1
    assert "did not store them: is it overloaded? What was done is kept: the same command" in capsys.readouterr().err
    cvat.refused_writes = []
    before = len(asked_frames(cvat))
    assert annotate(cvat) == 3
    assert len(stored(cvat)) == 16
    assert len(asked_frames(cvat)) - before <= 7, "what was found is not asked again"


def test_other_options_than_those_it_was_begun_with_are_refused(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    cvat.refused_writes = [403]
    assert annotate(cvat) == 1
    capsys.readouterr()
    assert annotate(cvat, "--min-confidence", "0.2", "--polygons", "--include", "deleted,completed") == 1
    said = capsys.readouterr().err
    assert "run 1 is unfinished and was begun with" in said
    assert "--min-confidence not given, now 0.2; --polygons not given, now given" in said
    assert "--include not given, now completed,deleted" in said
    assert annotate(cvat, "--new-run", "--min-confidence", "0.2") == 3
    assert max(score for *_, score, _, _ in stored(cvat) if score) == 0.9


def test_another_model_than_it_was_begun_with_is_refused(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.refused_writes = [403]
    assert annotate(cvat) == 1
    capsys.readouterr()
    cvat.answers = {"": lambda request: {**detect(request), "model": "swin-b 2"}}
    assert annotate(cvat) == 1
    assert "the model swin-t 1, now swin-b 2: finish it with the same options" in capsys.readouterr().err


def test_two_runs_on_one_task_at_a_time_are_refused(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prepare(cvat)
    assert annotate(cvat) == 3
    (file,) = tmp_path.rglob("task-3-*.sqlite")
    other = Journal(file)
    with other.alone():
        assert annotate(cvat) == 1
    assert "another run is at work on this task" in capsys.readouterr().err
    assert annotate(cvat) == 3, "let go"
    other.close()


def test_interrupted_it_says_so_and_goes_on(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    annotate(cvat)
    whole = stored(cvat)
    cvat.annotations = type(cvat.annotations)()
    with monkeypatch.context() as patched:
        patched.setattr(upload.Uploader, "flush", _interrupt)
        assert annotate(cvat) == 130
    assert "the same command goes on where it stopped" in capsys.readouterr().err
    assert annotate(cvat) == 3
    assert stored(cvat) == whole


def test_what_became_peoples_before_a_run_goes_on_is_left_to_them(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch that was about to be sent when the server failed: meanwhile a job is handed in, and a frame drawn on."""
    prepare(cvat)
    cvat.refused_writes = [403]
    assert annotate(cvat, "--frames", "1-3", "--concurrency", "1") == 1
    person = Person(cvat, TASK)
    drawn = person.add(2, LABEL, [1, 1, 9, 9])
    assert annotate(cvat, "--frames", "1-3") == 0
    assert [one["id"] for one in person.shapes(2)] == [drawn]
    assert [len(person.shapes(frame)) for frame in (1, 3)] == [1, 2]
    assert "left alone: 1 frame annotated or closed by people while it ran" in capsys.readouterr().out
    assert annotate(cvat, "--undo", "1") == 0
    cvat.refused_writes = [403]
    assert annotate(cvat, "--frames", "1-3", "--replace-all", "--yes") == 1
    person.complete(1)
    assert annotate(cvat, "--frames", "1-3", "--replace-all", "--yes") == 0
    assert [len(person.shapes(frame)) for frame in (1, 2, 3)] == [0, 1, 0]


def test_what_cvat_refuses_is_made_anew_at_once(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody deletes an attribute of the label while the run asks."""
    prepare(cvat)
    monkeypatch.setattr(late_requests, "POLL_PAUSES", (0.0,))

    def without_confidence(request: Mapping[str, Any]) -> Any:
        if base64.b64decode(request["image"]) == picture(3):
            cvat.attributes = ATTRIBUTES[1:]
        return detect(request)

    cvat.answers = {"": without_confidence}
    assert annotate(cvat, "--frames", "1-3", "--concurrency", "1") == 1
    assert stored(cvat) == []
    asked = len(asked_frames(cvat))
    assert annotate(cvat, "--frames", "1-3") == 0
    assert [frame for _, kind, frame, *_ in stored(cvat) if kind == "shapes"] == [1, 2, 2, 3, 3]
    assert len(asked_frames(cvat)) == asked, "what was found is not asked again"
    assert "gave no answer" not in capsys.readouterr().err
    assert annotate(cvat, "--undo", "1") == 0
    assert stored(cvat) == []


def test_a_run_that_was_refused_is_taken_back_at_once(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    monkeypatch.setattr(late_requests, "POLL_PAUSES", (0.0,))
    cvat.refused_writes = [400]
    assert annotate(cvat) == 1
    assert annotate(cvat, "--undo", "1") == 0
    said = capsys.readouterr()
    assert "run 1: 0 annotations removed" in said.out
    assert "gave no answer" not in said.err + said.out


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_function_that_is_gone_stops_the_run_and_no_frame_is_called_bad(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    gone = [False]

    def answer(request: Any) -> Any:
        gone[0] = gone[0] or len(asked_frames(cvat)) > 5
        if gone[0]:
            raise ConnectionError
        return detect(request)

    cvat.answers = {"": answer}
    assert annotate(cvat, "--concurrency", "1") == 1
    said = "5 frames in a row were not answered. What was done is kept: the same command goes on from there"
    assert said in capsys.readouterr().err
    cvat.answers = {"": detect}
    assert annotate(cvat) == 3
    assert len(stored(cvat)) == 16
