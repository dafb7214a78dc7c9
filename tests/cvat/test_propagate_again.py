"""``promptable propagate`` over what an earlier run wrote and people have mended: nothing stale or doubled stays."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.geometry.position import Position, position_at
from promptable.cvat.propagate.writing import upload
from promptable.cvat.server import late_requests
from tests.cvat import propagating
from tests.cvat.propagating import CAR, MUTABLE, TASK, draw, draw_track, keyframes, prepare, propagate
from toy.cvat.stand_in import StandIn

BOX = (10, 20, 30, 40)
"""Moves by 2 pixels a frame, by 5 from the tenth on."""
AWAY = (10, 60, 30, 80)
"""The same, and lost on frames 5 to 7."""
MASK = (0, 400, 10, 60, 29, 79)
"""As a mask."""
BRAKING = MUTABLE[1]["id"]
ONE_JOB = [(1, "annotation", 0, 19)]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())


def _tracks(cvat: StandIn, job: int) -> list[dict[str, Any]]:
    tracks: list[dict[str, Any]] = cvat.annotations.read(job, cvat.attributes)["tracks"]
    return tracks


def _ids(cvat: StandIn) -> dict[int, list[int]]:
    return {job: [track["id"] for track in _tracks(cvat, job)] for job in (1, 2)}


def _there(track: dict[str, Any], frame: int) -> Sequence[float]:
    position = position_at(track, frame)
    assert isinstance(position, Position), f"hidden on frame {frame}"
    return position.points


@pytest.mark.parametrize(
    ("jobs", "box", "lost"),
    [
        pytest.param([(1, "annotation", 0, 9), (2, "annotation", 10, 19)], BOX, range(0), id="jobs share no frame"),
        pytest.param(propagating.JOBS, AWAY, range(7, 12), id="lost on the frames that the jobs share"),
    ],
)
def test_the_track_in_the_next_job_goes_on(
    jobs: Any, box: Sequence[float], lost: range, cvat: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagating, "LOST_AT", lost)
    prepare(cvat, jobs=jobs)
    draw(cvat, box)
    assert propagate(cvat) == 0
    before = _ids(cvat), [keyframes(track) for job in (1, 2) for track in _tracks(cvat, job)]
    assert propagate(cvat, "--from", "0") == 0
    assert (_ids(cvat), [keyframes(track) for job in (1, 2) for track in _tracks(cvat, job)]) == before


def test_mended_on_a_frame_that_jobs_share_it_is_followed_in_both(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    ids = _ids(cvat)
    track = deepcopy(_tracks(cvat, 1)[0])
    mended = {**track["shapes"][0], "frame": 8, "points": [60, 40, 80, 60]}
    track["shapes"] = sorted([*track["shapes"], mended], key=lambda key: int(key["frame"]))
    cvat.annotations.patch(1, "update", {"tracks": [track]})
    assert propagate(cvat, "--from", "8", "--shapes", str(track["id"])) == 0
    assert _ids(cvat) == ids
    assert _there(_tracks(cvat, 2)[0], 9) == pytest.approx((62, 40, 82, 60))


def test_another_label_is_another_object_whoever_wrote_it(cvat: StandIn) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9), (2, "annotation", 10, 19)])
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    (theirs,) = cvat.annotations.job(2).by_kind["tracks"].values()
    theirs["label_id"] = propagating.PERSON
    assert propagate(cvat, "--from", "0") == 0
    assert [track["label_id"] for track in _tracks(cvat, 2)] == [propagating.PERSON, CAR]


def test_of_two_forms_of_an_object_each_goes_on_with_its_own(cvat: StandIn) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9), (2, "annotation", 10, 19)])
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    (second,) = cvat.annotations.job(2).by_kind["tracks"].values()
    second["shapes"][-1]["points"] = [100, 20, 120, 40]  # a person's, so that some of the rectangle stays
    assert propagate(cvat, "--from", "3", "--as", "polygon") == 0
    forms = [{track["id"]: track["shapes"][0]["type"] for track in _tracks(cvat, job)} for job in (1, 2)]
    (polygon,) = (number for number, form in forms[0].items() if form == "polygon")
    assert sorted(forms[1].values()) == ["polygon", "rectangle"]
    assert propagate(cvat, "--from", "4", "--shapes", str(polygon)) == 0
    assert [{track["id"]: track["shapes"][0]["type"] for track in _tracks(cvat, job)} for job in (1, 2)] == forms


def test_backward_twice_is_the_same(cvat: StandIn) -> None:
    prepare(cvat, jobs=ONE_JOB)
    draw(cvat, BOX, frame=4)
    for _ in range(2):
        assert propagate(cvat, "--from", "4", "--backward") == 0
        (track,) = _tracks(cvat, 1)
        assert [position_at(track, frame) is not None for frame in (0, 4, 5, 19)] == [True, True, False, False]


def test_another_form_up_to_where_people_have_it_leaves_the_next_job_alone(cvat: StandIn) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9), (2, "annotation", 10, 19)])
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    (first,) = cvat.annotations.job(1).by_kind["tracks"].values()
    first["shapes"].insert(1, {**first["shapes"][0], "frame": 4, "points": [11, 22, 33, 44]})
    before = _tracks(cvat, 2)
    assert propagate(cvat, "--as", "polygon") == 0
    assert _tracks(cvat, 2) == before
    assert sorted(track["shapes"][0]["type"] for track in _tracks(cvat, 1)) == ["polygon", "rectangle"]


def test_what_people_mended_in_the_next_job_is_not_lost_in_this_one(cvat: StandIn) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 11), (2, "annotation", 7, 19)])
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    (second,) = cvat.annotations.job(2).by_kind["tracks"].values()
    mended = [29, 22, 49, 42]
    second["shapes"].insert(1, {**second["shapes"][0], "frame": 9, "points": mended})
    assert propagate(cvat) == 0
    for job, frames in ((1, range(12)), (2, range(7, 20))):
        (track,) = _tracks(cvat, job)
        assert all(position_at(track, frame) is not None for frame in frames)
        assert _there(track, 9) == tuple(mended)


def test_what_people_mend_again_or_take_away_in_the_next_job_is_followed_in_this_one(cvat: StandIn) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 11), (2, "annotation", 7, 19)])
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    followed = [_there(_tracks(cvat, job)[0], 9) for job in (1, 2)]
    (second,) = cvat.annotations.job(2).by_kind["tracks"].values()
    for mended in ([29, 22, 49, 42], [26, 19, 46, 39]):
        second["shapes"] = [key for key in second["shapes"] if key["frame"] != 9]
        second["shapes"].insert(1, {**second["shapes"][0], "frame": 9, "points": mended})
        assert propagate(cvat) == 0
        (second,) = cvat.annotations.job(2).by_kind["tracks"].values()
        assert [_there(_tracks(cvat, job)[0], 9) for job in (1, 2)] == [tuple(mended)] * 2
    second["shapes"] = [key for key in second["shapes"] if key["frame"] != 9]
    assert propagate(cvat) == 0
    assert [_there(_tracks(cvat, job)[0], 9) for job in (1, 2)] == followed


def test_the_first_frame_is_the_first_that_is_not_deleted(cvat: StandIn) -> None:
    prepare(cvat, jobs=ONE_JOB)
    cvat.tasks[TASK] = replace(cvat.tasks[TASK], deleted=(0,))
    draw(cvat, BOX, frame=1)
    assert propagate(cvat) == 0
    (track,) = _tracks(cvat, 1)
    assert track["frame"] == 1


def test_a_runs_keyframe_on_a_frame_that_was_deleted_since_hides_nothing(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(cvat, jobs=ONE_JOB)
    draw(cvat, AWAY)
    assert propagate(cvat) == 0
    assert [key["frame"] for key in _tracks(cvat, 1)[0]["shapes"] if key["outside"]] == [5]
    cvat.tasks[TASK] = replace(cvat.tasks[TASK], deleted=[5])
    monkeypatch.setattr(propagating, "LOST_AT", range(0))
    assert propagate(cvat, "--from", "0") == 0
    for frame in (6, 7, 8, 9):
        assert _there(_tracks(cvat, 1)[0], frame) == pytest.approx((10 + 2 * frame, 60, 30 + 2 * frame, 80))


def test_a_track_that_ended_before_a_deleted_frame_goes_on_behind_it(cvat: StandIn) -> None:
    prepare(cvat, jobs=ONE_JOB, deleted=[6])
    draw(cvat, BOX)
    assert propagate(cvat, "--to", "5") == 0
    assert propagate(cvat, "--from", "5") == 0
    assert _there(_tracks(cvat, 1)[0], 8) == pytest.approx((26, 20, 46, 40))


def test_a_persons_keyframe_on_a_deleted_frame_moves_nothing_around_it(cvat: StandIn) -> None:
    prepare(cvat, jobs=ONE_JOB, deleted=[6])
    draw_track(cvat, [(0, BOX, False), (6, (100, 50, 130, 90), False)])
    assert propagate(cvat, "--from", "0") == 0
    (track,) = _tracks(cvat, 1)
    assert (6, (100, 50, 130, 90), False) in keyframes(track)
    for frame in (5, 7, 8):
        assert _there(track, frame) == pytest.approx((10 + 2 * frame, 20, 30 + 2 * frame, 40))


def test_attributes_of_keyframes_do_not_fall_back_to_the_defaults(cvat: StandIn) -> None:
    prepare(cvat, jobs=ONE_JOB)
    draw(cvat, BOX, frame=10, attributes=[{"spec_id": BRAKING, "value": "true"}])
    for _ in range(2):
        assert propagate(cvat, "--from", "10", "--backward") == 0
        values = [one["value"] for key in _tracks(cvat, 1)[0]["shapes"] for one in key["attributes"]]
        assert set(values) == {"true"}


def test_a_persons_track_that_is_followed_backward_keeps_the_attributes_of_its_keyframe(cvat: StandIn) -> None:
    prepare(cvat, jobs=ONE_JOB)
    draw_track(cvat, [(10, BOX, False)], held=[{"spec_id": BRAKING, "value": "true"}])
    assert propagate(cvat, "--from", "10", "--backward") == 0
    assert all({"spec_id": BRAKING, "value": "true"} in key["attributes"] for key in _tracks(cvat, 1)[0]["shapes"])


def test_masks_go_where_the_object_is_lost_now(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(cvat, jobs=ONE_JOB)
    monkeypatch.setattr(propagating, "LOST_AT", range(0))
    draw(cvat, MASK, "mask")
    assert propagate(cvat, "--to", "9") == 0
    monkeypatch.setattr(propagating, "LOST_AT", range(5, 8))
    theirs = draw(cvat, MASK, "mask", frame=6, label_id=propagating.PERSON)
    assert propagate(cvat, "--from", "0", "--to", "9", "--labels", "car") == 0
    shapes = cvat.annotations.read(1)["shapes"]
    assert sorted(one["frame"] for one in shapes if one["id"] != theirs) == [0, 1, 2, 3, 4, 8, 9]
    assert [one["frame"] for one in shapes if one["id"] == theirs] == [6]


def test_a_shape_of_which_a_run_that_was_given_up_made_a_track_is_not_followed_again(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was stopped before the shape was deleted."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    prepare(cvat)
    number = draw(cvat, BOX)
    with monkeypatch.context() as patched:
        patched.setattr(upload.Uploader, "_delete", stop)
        assert propagate(cvat) == 130
    assert propagate(cvat, "--new-run") == 0
    assert (
        f"shape {number}: a run that was given up has made a track of it; delete it in CVAT" in capsys.readouterr().out
    )
    assert [len(_tracks(cvat, job)) for job in (1, 2)] == [1, 1]
