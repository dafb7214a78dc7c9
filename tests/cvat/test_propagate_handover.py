"""``promptable propagate --as`` of tracks that people have begun: another form takes over from them."""

from pathlib import Path
from typing import Any

import pytest

from promptable.cvat.geometry.position import position_at
from promptable.cvat.server import late_requests
from tests.cvat.killing import assert_same_wherever_killed
from tests.cvat.propagating import CAR, draw, draw_track, keyframes, prepare, propagate, stored
from toy.cvat.stand_in import StandIn

BOX = (10, 20, 30, 40)
"""Moves by 2 pixels a frame."""
JOBS = {1: (0, 9), 2: (10, 19)}
"""Of the task that is cut without overlap."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())


def _box(frame: int) -> tuple[float, ...]:
    return BOX[0] + 2 * frame, BOX[1], BOX[2] + 2 * frame, BOX[3]


def _tracks(cvat: StandIn, job: int) -> list[dict[str, Any]]:
    tracks: list[dict[str, Any]] = cvat.annotations.read(job, cvat.attributes)["tracks"]
    return tracks


def test_a_track_becomes_one_of_another_form_under_its_id(cvat: StandIn) -> None:
    """Nothing else is left of it: people drew it on the first frame alone."""
    prepare(cvat)
    number = draw_track(cvat, [(0, BOX, False)], group=3, attributes=[{"spec_id": 7, "value": "AB"}])
    before = _tracks(cvat, 1)[0]
    assert propagate(cvat, "--job", "1", "--as", "polygon", "--to", "4") == 0
    (only,) = _tracks(cvat, 1)
    assert (only["id"], only["label_id"], only["group"], only["source"]) == (number, CAR, 3, "semi-auto")
    assert only["attributes"] == [{"spec_id": 7, "value": "AB"}]
    assert [(key["frame"], key["type"], key["outside"]) for key in only["shapes"]] == [
        *((frame, "polygon", False) for frame in range(5)),
        (5, "polygon", True),
    ]
    assert propagate(cvat, "--undo", "1") == 0
    assert _tracks(cvat, 1) == [before]


def test_a_track_ends_where_another_form_takes_over_and_comes_back(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    number = draw_track(cvat, [(0, BOX, False), (4, _box(4), False), (9, _box(9), False)])
    before = _tracks(cvat, 1)
    assert propagate(cvat, "--job", "1", "--as", "polygon", "--from", "2") == 0
    assert "run 1: 1 track of 3 keyframes" in capsys.readouterr().out
    own, new = sorted(_tracks(cvat, 1), key=lambda track: track["id"])
    assert own["id"] == number
    assert keyframes(own) == [(0, BOX, False), (2, _box(2), True), (4, _box(4), False), (9, _box(9), False)]
    assert [(key["frame"], key["type"], key["outside"]) for key in new["shapes"]] == [
        (2, "polygon", False),
        (3, "polygon", False),
        (4, "polygon", True),
    ]
    assert propagate(cvat, "--undo", "1") == 0
    assert _tracks(cvat, 1) == before


def test_between_peoples_keyframes_a_track_stays_as_it_was_behind_the_other_form(cvat: StandIn) -> None:
    prepare(cvat)
    draw_track(cvat, [(0, BOX, False), (10, _box(10), False)])
    assert propagate(cvat, "--job", "1", "--as", "polygon", "--from", "3", "--to", "5") == 0
    own, _ = sorted(_tracks(cvat, 1), key=lambda track: track["id"])
    assert keyframes(own) == [(0, BOX, False), (3, _box(3), True), (6, _box(6), False), (10, _box(10), False)]


def test_followed_backward_in_another_form_a_track_goes_on_behind_it(cvat: StandIn) -> None:
    prepare(cvat)
    draw_track(cvat, [(5, BOX, False)])
    assert propagate(cvat, "--job", "1", "--as", "mask", "--from", "5", "--to", "3", "--backward") == 0
    (own,) = _tracks(cvat, 1)
    assert keyframes(own) == [(6, BOX, False)]
    assert [shape["frame"] for shape in cvat.annotations.read(1)["shapes"]] == [3, 4, 5]


def test_a_track_as_masks_has_its_attributes_and_goes_from_both_jobs(cvat: StandIn) -> None:
    prepare(cvat)
    braking = {"spec_id": 8, "value": "true"}
    draw_track(cvat, [(0, BOX, False)], attributes=[{"spec_id": 7, "value": "AB"}], held=[braking])
    draw_track(cvat, [(7, _box(7), False)], job=2)
    before = stored(cvat)
    assert propagate(cvat, "--as", "mask") == 0
    assert not _tracks(cvat, 1)
    assert [keyframes(one) for one in _tracks(cvat, 2)] == [[(7, _box(7), False)]]
    masks = cvat.annotations.read(1)["shapes"]
    assert [shape["frame"] for shape in masks] == list(range(7))
    assert {shape["group"] for shape in masks} == {1}
    assert all(shape["attributes"] == [{"spec_id": 7, "value": "AB"}, braking] for shape in masks)
    assert propagate(cvat, "--undo", "1") == 0
    assert stored(cvat) == before


def test_what_the_tracker_sees_nothing_in_stays_as_it_is(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    number = draw_track(cvat, [(0, BOX, False)])
    before = _tracks(cvat, 1)
    cvat.answers = {"": lambda _: {"shapes": [None], "states": [{}]}}
    assert propagate(cvat, "--as", "mask") == 0
    assert f"left alone: track {number}: the tracker sees nothing in it" in capsys.readouterr().out
    assert _tracks(cvat, 1) == before


def test_peoples_changes_of_what_took_over_are_not_doubled_by_undo(cvat: StandIn) -> None:
    prepare(cvat)
    draw_track(cvat, [(0, BOX, False)])
    assert propagate(cvat, "--job", "1", "--as", "polygon", "--from", "2") == 0
    own, new = sorted(_tracks(cvat, 1), key=lambda track: track["id"])
    new["shapes"][0]["points"][0] += 5
    cvat.annotations.patch(1, "update", {"tracks": [new]})
    assert propagate(cvat, "--undo", "1") == 0
    assert sorted(_tracks(cvat, 1), key=lambda track: track["id"]) == [own, new]


def test_killed_at_every_point_it_ends_the_same(cvat: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fresh(number: int) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state-{number}"))
        prepare(cvat, jobs=[(1, "annotation", 0, 3)])
        cvat.annotations = type(cvat.annotations)()
        draw_track(cvat, [(0, BOX, False)])
        draw_track(cvat, [(1, (10, 60, 30, 80), False)])

    def run() -> int:
        return propagate(cvat, "--as", "polygon", "--from", "1", "--to", "2")

    assert assert_same_wherever_killed(fresh, run, lambda: stored(cvat)) > 8


def _seen(cvat: StandIn, job: int) -> list[int]:
    """The frames of a job on which something is seen, one entry for each of it."""
    held = cvat.annotations.read(job)
    first, last = JOBS[job]
    tracks = [
        frame for track in held["tracks"] for frame in range(first, last + 1) if position_at(track, frame) is not None
    ]
    return sorted([*tracks, *(shape["frame"] for shape in held["shapes"])])


@pytest.fixture
def apart(cvat: StandIn) -> StandIn:
    """The task in two jobs that share no frame."""
    prepare(cvat, jobs=[(job, "annotation", *frames) for job, frames in JOBS.items()])
    return cvat


@pytest.mark.parametrize("form", ["rectangle", "polygon"])
def test_masks_make_room_for_the_track_of_the_same_object(apart: StandIn, form: str) -> None:
    draw(apart, BOX)
    assert propagate(apart, "--as", "mask") == 0
    masks = stored(apart)
    assert propagate(apart, "--as", form) == 0
    assert (_seen(apart, 1), _seen(apart, 2)) == (list(range(10)), list(range(10, 20)))
    assert not apart.annotations.read(1)["shapes"]
    assert propagate(apart, "--undo", "2") == 0
    assert stored(apart) == masks


def test_masks_that_people_mended_stay_where_a_track_takes_over(apart: StandIn) -> None:
    draw(apart, BOX)
    assert propagate(apart, "--as", "mask") == 0
    mended = next(shape for shape in apart.annotations.read(1)["shapes"] if shape["frame"] == 5)
    apart.annotations.patch(1, "update", {"shapes": [{**mended, "points": [0, 100, 20, 30, 29, 39]}]})
    assert propagate(apart, "--as", "rectangle") == 0
    assert _seen(apart, 1) == list(range(10))
    assert [shape["frame"] for shape in apart.annotations.read(1)["shapes"]] == [5, 6, 7, 8, 9]


def test_masks_of_another_object_of_the_label_stay(apart: StandIn) -> None:
    one, other = draw(apart, BOX), draw(apart, (10, 60, 30, 80))
    assert propagate(apart, "--as", "mask", "--shapes", f"{one},{other}") == 0
    assert propagate(apart, "--as", "rectangle", "--shapes", str(one)) == 0
    (group,) = {shape["group"] for shape in apart.annotations.read(1)["shapes"]}
    assert [shape["group"] for shape in apart.annotations.read(2)["shapes"]] == [group] * 10


@pytest.mark.parametrize("form", ["polygon", "mask"])
def test_other_forms_make_room_where_the_track_is_followed_again(apart: StandIn, form: str) -> None:
    number = draw_track(apart, [(0, BOX, False)])
    assert propagate(apart, "--job", "1", "--as", form, "--from", "3") == 0
    before = stored(apart)
    assert propagate(apart, "--job", "1") == 0
    assert _seen(apart, 1) == list(range(10))
    assert [track["id"] for track in _tracks(apart, 1)] == [number]
    assert propagate(apart, "--undo", "2") == 0
    assert stored(apart) == before


def test_followed_back_from_another_form_the_track_makes_room(apart: StandIn) -> None:
    draw_track(apart, [(0, BOX, False)])
    assert propagate(apart, "--job", "1", "--as", "polygon", "--from", "5") == 0
    polygon = max(track["id"] for track in _tracks(apart, 1))
    assert propagate(apart, "--job", "1", "--from", "5", "--shapes", str(polygon), "--backward") == 0
    own, _ = sorted(_tracks(apart, 1), key=lambda track: track["id"])
    assert keyframes(own) == [(0, BOX, False), (1, BOX, True)]
    assert _seen(apart, 1) == list(range(10))


@pytest.mark.parametrize("form", ["polygon", "mask"])
def test_where_people_say_that_it_is_outside_every_form_ends(apart: StandIn, form: str) -> None:
    draw(apart, BOX)
    assert propagate(apart) == 0
    track = _tracks(apart, 1)[0]
    track["shapes"] = [key | {"outside": key["frame"] == 7} for key in track["shapes"] if key["frame"] < 7] + [
        track["shapes"][0] | {"frame": 7, "outside": True}
    ]
    apart.annotations.patch(1, "update", {"tracks": [track]})
    before = stored(apart)
    assert propagate(apart, "--as", form) == 0
    once = stored(apart)
    assert (_seen(apart, 1), _seen(apart, 2)) == (list(range(7)), list(range(10, 20)))
    assert propagate(apart, "--as", form) == 0
    assert stored(apart) == once
    assert [propagate(apart, "--undo", run) for run in ("3", "2")] == [0, 0]
    assert stored(apart) == before


def test_outside_before_a_track_is_kept_by_another_form(apart: StandIn) -> None:
    number = draw_track(apart, [(2, BOX, True), (9, _box(9), False)])
    assert propagate(apart, "--job", "1", "--from", "9", "--backward", "--as", "polygon", "--to", "4") == 0
    (only,) = _tracks(apart, 1)
    assert only["id"] == number
    assert [(key["frame"], key["type"], key["outside"]) for key in only["shapes"]] == [
        (2, "polygon", True),
        *((frame, "polygon", False) for frame in range(4, 10)),
    ]
    assert _seen(apart, 1) == list(range(4, 10))


def test_masks_of_runs_that_followed_each_other_make_room(apart: StandIn) -> None:
    """They are of the track by the group of those that its own run made."""
    draw(apart, BOX)
    assert propagate(apart) == 0
    assert propagate(apart, "--from", "15", "--as", "mask") == 0
    assert propagate(apart, "--from", "15", "--as", "mask") == 0
    assert propagate(apart) == 0
    assert (_seen(apart, 1), _seen(apart, 2)) == (list(range(10)), list(range(10, 20)))
    assert not apart.annotations.read(2)["shapes"]


def test_masks_behind_masks_keep_their_group(apart: StandIn) -> None:
    draw_track(apart, [(0, BOX, False), (4, _box(4), False)])
    assert propagate(apart, "--job", "1", "--as", "mask", "--from", "5") == 0
    assert propagate(apart, "--job", "1", "--as", "mask", "--from", "1") == 0
    assert {shape["group"] for shape in apart.annotations.read(1)["shapes"]} == {1}


def test_another_form_leaves_what_people_have_on_a_frame_of_two_jobs(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    track = _tracks(cvat, 2)[0]
    mended = {**track["shapes"][0], "frame": 9, "points": [30, 22, 50, 42]}
    track["shapes"] = sorted([*track["shapes"], mended], key=lambda key: int(key["frame"]))
    cvat.annotations.patch(2, "update", {"tracks": [track]})
    assert propagate(cvat, "--as", "polygon", "--restart-at-keyframes") == 0
    shown = [[position_at(one, 9) for one in _tracks(cvat, job)] for job in (1, 2)]
    assert [sum(position is not None for position in of_job) for of_job in shown] == [1, 1]


def test_a_new_track_is_where_people_have_it_in_the_job_before(cvat: StandIn) -> None:
    prepare(cvat)
    draw_track(cvat, [(0, BOX, False), (9, _box(9), False)])
    assert propagate(cvat) == 0
    once = stored(cvat)
    assert keyframes(_tracks(cvat, 2)[0])[-2:-1] == [(9, _box(9), False)]
    assert propagate(cvat) == 0
    assert stored(cvat) == once


def test_masks_of_another_object_of_the_group_stay(apart: StandIn) -> None:
    """People put two of one label into a group."""
    one, other = draw(apart, BOX, group=5), draw(apart, (10, 60, 30, 80), group=5)
    assert propagate(apart, "--as", "mask", "--shapes", f"{one},{other}") == 0
    masks = len(apart.annotations.read(2)["shapes"])
    assert propagate(apart, "--as", "mask", "--shapes", str(one)) == 0
    assert len(apart.annotations.read(2)["shapes"]) == masks == 20
    assert propagate(apart, "--as", "rectangle", "--shapes", str(one)) == 0
    assert len(apart.annotations.read(2)["shapes"]) == 10


def test_a_mask_that_people_drew_into_a_group_takes_over_from_its_masks(apart: StandIn) -> None:
    draw(apart, BOX)
    assert propagate(apart, "--as", "mask") == 0
    (group,) = {shape["group"] for shape in apart.annotations.read(2)["shapes"]}
    wrong = next(shape for shape in apart.annotations.read(2)["shapes"] if shape["frame"] == 12)
    apart.annotations.patch(2, "delete", {"shapes": [wrong]})
    draw(apart, (0, 400, 10, 60, 29, 79), "mask", job=2, frame=12, group=group)
    assert propagate(apart, "--from", "12") == 0
    assert _seen(apart, 2) == list(range(10, 20))


def test_a_track_that_people_moved_takes_over_from_masks_elsewhere(apart: StandIn) -> None:
    draw_track(apart, [(9, BOX, False)])
    assert propagate(apart, "--from", "9") == 0
    assert propagate(apart, "--from", "10", "--as", "mask") == 0
    (track,) = _tracks(apart, 1)
    track["shapes"][0]["points"] = [10, 60, 30, 80]
    apart.annotations.patch(1, "update", {"tracks": [track]})
    assert propagate(apart, "--from", "9") == 0
    assert _seen(apart, 2) == list(range(10, 20))


def test_what_was_followed_back_stays_open_up_to_a_persons_frame(cvat: StandIn) -> None:
    prepare(cvat)
    draw_track(cvat, [(11, BOX, False)])
    assert propagate(cvat, "--from", "11", "--backward") == 0
    assert propagate(cvat, "--from", "0") == 0
    assert position_at(_tracks(cvat, 2)[0], 15) is not None


def test_what_people_keep_ends_where_another_form_goes_on_behind_it(apart: StandIn) -> None:
    """Also where a run had closed the track there."""
    draw(apart, BOX, frame=7)
    assert propagate(apart, "--job", "1", "--from", "7", "--backward", "--as", "polygon") == 0
    (track,) = _tracks(apart, 1)
    draw(apart, _box(8), frame=8)
    assert propagate(apart, "--job", "1", "--from", "5", "--as", "rectangle", "--restart-at-keyframes") == 0
    assert position_at(next(one for one in _tracks(apart, 1) if one["id"] == track["id"]), 9) is None


def test_followed_backward_a_track_still_ends_where_another_form_takes_over(apart: StandIn) -> None:
    draw_track(apart, [(0, BOX, False), (8, _box(8), False)])
    assert propagate(apart, "--job", "1", "--from", "3", "--as", "polygon") == 0
    assert propagate(apart, "--job", "1", "--from", "2", "--backward") == 0
    assert _seen(apart, 1) == list(range(10))


def test_an_object_that_joins_a_group_takes_nothing_from_the_others(apart: StandIn) -> None:
    one, other = draw(apart, BOX, group=5), draw(apart, (10, 45, 30, 65), group=5)
    assert propagate(apart, "--as", "mask", "--shapes", f"{one},{other}") == 0
    third = draw(apart, (60, 20, 80, 40), group=5)
    assert propagate(apart, "--as", "mask", "--shapes", str(third)) == 0
    assert [len(apart.annotations.read(job)["shapes"]) for job in (1, 2)] == [30, 30]


def test_what_was_taken_back_says_nothing_of_what_is_one_object(apart: StandIn) -> None:
    draw(apart, BOX)
    assert propagate(apart, "--as", "mask") == 0
    (group,) = {shape["group"] for shape in apart.annotations.read(2)["shapes"]}
    other = draw(apart, (60, 20, 80, 40), frame=3, group=group)
    assert propagate(apart, "--as", "mask", "--from", "3", "--shapes", str(other)) == 0
    assert propagate(apart, "--undo", "2") == 0
    (drawn,) = [shape for shape in apart.annotations.read(1)["shapes"] if shape["id"] == other]
    apart.annotations.patch(1, "update", {"shapes": [{**drawn, "group": 0}]})
    assert propagate(apart, "--as", "rectangle", "--from", "3", "--shapes", str(other)) == 0
    assert [len(apart.annotations.read(job)["shapes"]) for job in (1, 2)] == [10, 10]
