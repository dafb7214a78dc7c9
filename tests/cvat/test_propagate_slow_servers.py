"""Servers that store what ``promptable propagate`` creates later than it looks for it: it is there once."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from promptable.cvat.propagate import run
from promptable.cvat.propagate.journal import TrackJournal
from promptable.cvat.propagate.writing import upload
from promptable.cvat.server import late_requests
from promptable.cvat.server.annotations import JobAnnotations
from tests.cvat.propagating import BIKE, MUTABLE, TASK, asked, draw, draw_track, prepare, propagate, stored
from toy.cvat.stand_in import StandIn

JOBS = [(1, "annotation", 0, 5)]
BOX = (10, 20, 30, 40)
MASK = (1, 1, 1, 3, 10, 50, 12, 51)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that looks once for what it sent."""
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())


@pytest.fixture
def drawn(cvat: StandIn) -> list[Any]:
    """What people drew: a box and a mask, of one request when they are followed, and a track beside them."""
    prepare(cvat, jobs=JOBS)
    draw(cvat, BOX, attributes=[{"spec_id": 7, "value": "AB 1"}, {"spec_id": 8, "value": "true"}])
    draw(cvat, MASK, "mask")
    draw_track(cvat, [(0, (50, 60, 70, 80), False)], label_id=BIKE)
    return stored(cvat)


@pytest.fixture
def whole(cvat: StandIn, drawn: list[Any]) -> list[Any]:
    """What a run over a server without flaws stores; the server is as it was before."""
    assert propagate(cvat) == 0
    followed = stored(cvat)
    assert propagate(cvat, "--undo", "1") == 0
    assert stored(cvat) == drawn
    return followed


def tracks(cvat: StandIn) -> list[dict[str, Any]]:
    return sorted(cvat.annotations.read(1)["tracks"], key=lambda one: int(one["id"]))


def masks(cvat: StandIn) -> list[dict[str, Any]]:
    held = [one for one in cvat.annotations.read(1)["shapes"] if one["type"] == "mask" and one["frame"]]
    return sorted(held, key=lambda one: int(one["id"]))


def come_late(cvat: StandIn) -> None:
    """A run, of whose first create the server stores a second copy after the run has ended."""
    cvat.late_writes = 1
    assert propagate(cvat) == 0
    assert (len(tracks(cvat)), len(masks(cvat))) == (2, 5)
    cvat.store_late()
    assert (len(tracks(cvat)), len(masks(cvat))) == (3, 10)


def test_a_create_that_is_stored_while_the_run_goes_on_is_there_once_at_its_end(
    cvat: StandIn, whole: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = upload.Uploader._delete

    def patient(self: upload.Uploader, write: Any) -> None:
        cvat.store_late()
        assert (len(tracks(cvat)), len(masks(cvat))) == (3, 10)
        delete(self, write)

    monkeypatch.setattr(upload.Uploader, "_delete", patient)
    cvat.late_writes = 1
    assert propagate(cvat) == 0
    assert stored(cvat) == whole


def test_one_that_is_stored_before_it_is_sent_again_is_found_then(
    cvat: StandIn, whole: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look for it and the second request."""
    note = TrackJournal.may_arrive_late

    def patient(self: TrackJournal, write: Any) -> None:
        cvat.store_late()
        note(self, write)

    monkeypatch.setattr(TrackJournal, "may_arrive_late", patient)
    cvat.late_writes = 1
    assert propagate(cvat) == 0
    assert stored(cvat) == whole


@pytest.mark.parametrize("then", ["run", "undo"])
def test_one_that_is_stored_after_the_run_goes_with_the_next_command(
    cvat: StandIn, drawn: list[Any], whole: list[Any], then: str
) -> None:
    come_late(cvat)
    cvat.bodies.clear()
    if then == "undo":
        assert propagate(cvat, "--undo", "2") == 0
        assert stored(cvat) == drawn
    else:
        assert propagate(cvat) == 0
        assert len(tracks(cvat)) == 2
        assert len(masks(cvat)) == 5
        assert asked(cvat)[0] == (0, 3), "nobody takes a copy for an object"


def _moved(track: dict[str, Any]) -> None:
    track["shapes"][0]["points"] = [1, 2, 3, 4]


def _occluded(track: dict[str, Any]) -> None:
    track["shapes"][-1]["occluded"] = True


def _named(track: dict[str, Any]) -> None:
    track["attributes"] = [{"spec_id": 7, "value": "AB 2"}]


def _braking(track: dict[str, Any]) -> None:
    track["shapes"][-1]["attributes"] = [{"spec_id": 8, "value": "false"}]


@pytest.mark.parametrize("change", [_moved, _occluded, _named, _braking])
@pytest.mark.parametrize("then", ["run", "undo"])
def test_a_copy_that_a_person_has_changed_stays(
    cvat: StandIn, whole: list[Any], then: str, change: Callable[[dict[str, Any]], None]
) -> None:
    """In an editor that was open when it came; one mask of those that came with it too."""
    come_late(cvat)
    copy, mask = tracks(cvat)[-1], masks(cvat)[-1] | {"occluded": True}
    change(copy)
    cvat.annotations.patch(1, "update", {"tracks": [copy], "shapes": [mask]})
    assert propagate(cvat, *(["--undo", "2"] if then == "undo" else ["--labels", "bike"])) == 0
    assert copy in tracks(cvat)
    assert mask in masks(cvat)
    assert len(tracks(cvat)) == (2 if then == "undo" else 3)
    assert len(masks(cvat)) == (1 if then == "undo" else 6)


def test_a_copy_to_which_the_server_added_attributes_is_no_persons(cvat: StandIn, whole: list[Any]) -> None:
    """CVAT gives a keyframe the attributes of the one before, and a track those that it lacks."""
    come_late(cvat)
    copy = tracks(cvat)[-1]
    for key in copy["shapes"]:
        key["attributes"] = [{"spec_id": 8, "value": "true"}]
    shapes = [one | {"attributes": _defaults()} for one in masks(cvat)[5:]]
    cvat.annotations.patch(1, "update", {"tracks": [copy], "shapes": shapes})
    assert propagate(cvat, "--labels", "bike") == 0
    assert (len(tracks(cvat)), len(masks(cvat))) == (2, 5)


def _defaults() -> list[dict[str, Any]]:
    return [{"spec_id": spec["id"], "value": spec["default_value"]} for spec in MUTABLE]


def test_one_that_is_stored_after_its_run_was_taken_back_goes_too(
    cvat: StandIn, drawn: list[Any], whole: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run gave up before the server had stored any."""
    monkeypatch.setattr(upload, "_TRIES", 1)
    cvat.late_writes = 1
    assert propagate(cvat) == 1
    assert propagate(cvat, "--undo", "2") == 0
    assert stored(cvat) == drawn
    cvat.store_late()
    assert (len(tracks(cvat)), len(masks(cvat))) == (2, 5)
    assert propagate(cvat, "--labels", "bike") == 0
    assert propagate(cvat, "--undo", "3") == 0
    assert stored(cvat) == drawn


@pytest.fixture
def only_track(cvat: StandIn) -> list[Any]:
    """A track alone, whose first write is an update."""
    prepare(cvat, jobs=JOBS)
    draw_track(cvat, [(0, (10, 20, 30, 40), False)], label_id=BIKE)
    return stored(cvat)


def test_an_update_that_was_stored_without_an_answer_is_taken_back(cvat: StandIn, only_track: list[Any]) -> None:
    cvat.lost_answers = 1
    assert propagate(cvat) == 1
    assert stored(cvat) != only_track
    assert propagate(cvat, "--undo", "1") == 0
    assert stored(cvat) == only_track


@pytest.mark.parametrize("then", [("--undo", "1"), ("--labels", "bike", "--to", "2")])
def test_an_update_that_is_stored_after_its_run_was_taken_back_is_taken_back_too(
    cvat: StandIn, only_track: list[Any], then: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.late_writes = 1
    assert propagate(cvat) == 1
    assert propagate(cvat, "--undo", "1") == 0
    assert "the next propagate on this task takes that away" in capsys.readouterr().out
    cvat.store_late()
    assert stored(cvat) != only_track
    assert propagate(cvat, *then) == 0
    if then[0] != "--undo":
        assert propagate(cvat, "--undo", "last") == 0
    assert stored(cvat) == only_track


def test_one_that_is_stored_while_a_next_run_follows_is_no_persons(
    cvat: StandIn, whole: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = run._follow

    def patient(*arguments: Any) -> None:
        follow(*arguments)
        cvat.store_late()
        assert len(tracks(cvat)) == 3

    cvat.late_writes = 1
    assert propagate(cvat) == 0
    monkeypatch.setattr(run, "_follow", patient)
    assert propagate(cvat) == 0
    assert (len(tracks(cvat)), len(masks(cvat))) == (2, 5)
    assert stored(cvat) == whole


def test_what_was_sent_again_is_looked_for_until_nothing_can_arrive_any_more(
    cvat: StandIn, whole: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cvat.refused_writes = [500]
    assert propagate(cvat) == 0

    def reads() -> int:
        cvat.asked.clear()
        assert propagate(cvat, "--undo", "2") == 0
        return sum(one == "GET /api/jobs/1/annotations" for one in cvat.asked)

    before = reads()
    monkeypatch.setattr(late_requests, "_LATEST", timedelta())
    assert reads() == before
    assert reads() == before - 1


@pytest.mark.parametrize("first", ["another machine", "another machine, before people hand the jobs in", "this run"])
def test_of_what_two_machines_write_at_once_the_first_stays(
    first: str, cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    draw(cvat, (10, 20, 30, 40))
    change = JobAnnotations.change

    def both(annotations: JobAnnotations, action: str, shapes: Any, tracks: Any) -> Any:
        """Another run has looked as well, and writes the same."""
        others = {"shapes": deepcopy(shapes), "tracks": deepcopy(tracks)}
        job = int(annotations._path.split("/")[3])
        if action == "create" and first != "this run":
            cvat.annotations.patch(job, action, others)
        answer = change(annotations, action, shapes, tracks)
        if action == "create" and first == "this run":
            cvat.annotations.patch(job, action, others)
        if action == "create" and first == "another machine, before people hand the jobs in":
            cvat.tasks[TASK].states = {1: "completed", 2: "completed"}
        return answer

    monkeypatch.setattr(JobAnnotations, "change", both)
    assert propagate(cvat) == 0
    ids = [sorted(track["id"] for track in cvat.annotations.read(job)["tracks"]) for job in (1, 2)]
    said = "left alone: 1 annotation of job 1, since another run has stored the same"
    if first == "another machine":
        assert ids == [[101], [103]]
        assert said in capsys.readouterr().out
    elif first == "another machine, before people hand the jobs in":
        assert ids == [[101, 102], [103, 104]]
        said = "left alone: job 1 has 1 annotation twice, since another run has stored the same"
        assert said in capsys.readouterr().out
    else:
        assert ids == [[101, 102], [103, 104]], "the other run takes its own away"
        assert said not in capsys.readouterr().out
