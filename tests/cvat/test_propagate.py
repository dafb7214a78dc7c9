"""``promptable propagate`` over the stand-in server: what becomes of drawn objects, and what is left to people."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.cvat.functions import Picture
from promptable.cvat.geometry.position import Position, position_at
from promptable.cvat.server import late_requests
from promptable.cvat.tracking import Tracker
from tests.cvat.propagating import (
    CAR,
    PERSON,
    TASK,
    asked,
    draw,
    draw_track,
    keyframes,
    picture,
    prepare,
    propagate,
    stored,
    track,
)
from toy.cvat.stand_in import StandIn

BOX = (10, 20, 30, 40)
"""Moves by 2 pixels a frame, by 5 from the tenth on."""
AWAY = (10, 60, 30, 80)
"""The same, and lost on frames 5 to 7."""
MASK = (1, 1, 1, 3, 10, 20, 12, 21)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())


def _box(frame: int, box: tuple[int, ...] = BOX) -> tuple[float, ...]:
    shift = 2 * frame + 3 * max(0, frame - 10)
    return box[0] + shift, box[1], box[2] + shift, box[3]


def _tracks(cvat: StandIn, job: int) -> list[dict[str, Any]]:
    tracks: list[dict[str, Any]] = cvat.annotations.read(job)["tracks"]
    return tracks


def test_a_rectangle_becomes_a_track_of_few_keyframes_in_both_jobs(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    values = [{"spec_id": 7, "value": "AB 12"}, {"spec_id": 8, "value": "true"}]
    draw(cvat, BOX, group=3, attributes=values, occluded=True)
    assert propagate(cvat) == 0
    (first,), (second,) = _tracks(cvat, 1), _tracks(cvat, 2)
    assert keyframes(first) == [(0, BOX, False), (10, _box(10), False), (11, _box(11), False)]
    assert keyframes(second) == [(7, _box(7), False), (10, _box(10), False), (19, _box(19), False)]
    for one in (first, second):
        assert (one["label_id"], one["group"], one["source"]) == (CAR, 3, "semi-auto")
        assert one["attributes"] == values[:1]
        assert one["shapes"][0]["attributes"] == values[1:], "held from the first keyframe on"
        assert all(key["occluded"] for key in one["shapes"])
    assert not cvat.annotations.read(1)["shapes"], "its track has taken its place"
    assert "run 1: 1 track of 5 keyframes\n" in capsys.readouterr().out, "at 0, 7, 10, 11, 19"


@pytest.mark.parametrize(
    ("form", "points", "why"),
    [
        ("polygon", [1, 1, 9, 9], "an outline of 4 numbers"),
        ("rectangle", [1, 1, float("nan"), 9], "a coordinate that is no number"),
    ],
)
def test_a_broken_shape_is_named(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], form: str, points: list[float], why: str
) -> None:
    prepare(cvat)
    number = draw(cvat, points, form)
    assert propagate(cvat) == 1
    said = f"shape {number} (car) on frame 0 is broken: {why}; draw it anew or delete it in CVAT, or leave its object"
    assert said in " ".join(capsys.readouterr().err.split())
    assert not asked(cvat)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ({"points": [30, 30, 10, 10]}, "a rectangle whose right is left of its left, or bottom above its top"),
        ({"type": "polygon", "points": [1, 1, 9, 1, 9, 9]}, "a keyframe of type polygon in a track of type rectangle"),
        ({"type": "ellipse"}, "a keyframe of type ellipse in a track of type rectangle"),
    ],
)
@pytest.mark.parametrize("first", [0, 3])
def test_a_broken_keyframe_is_named_or_left_out(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], key: dict[str, Any], why: str, first: int
) -> None:
    prepare(cvat)
    number = draw_track(cvat, [(0, BOX, False), (5, BOX, False)], label_id=PERSON)
    drawn = _tracks(cvat, 1)[0]
    drawn["shapes"][1] |= key
    cvat.annotations.patch(1, "update", {"tracks": [drawn]})
    draw(cvat, BOX, frame=first)
    assert propagate(cvat, "--from", str(first)) == 1
    assert f"track {number} (person) on frame 5 is broken: {why}; draw it" in " ".join(capsys.readouterr().err.split())
    assert not asked(cvat)
    assert propagate(cvat, "--from", str(first), "--labels", "car") == 0


def test_a_broken_shape_of_the_group_is_named_and_beside_it_is_nothing(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    draw(cvat, BOX, group=3)
    number = draw(cvat, [3, 4, 0, 0, 9, 9], "mask", group=3, frame=5)
    assert propagate(cvat) == 1
    said = f"shape {number} (car) on frame 5 is broken: run lengths of 7 pixels for a box of 10 x 10; draw it anew"
    assert said in " ".join(capsys.readouterr().err.split())
    broken = cvat.annotations.read(1)["shapes"][1]
    cvat.annotations.patch(1, "update", {"shapes": [broken | {"group": 0}]})
    assert propagate(cvat) == 0


def test_one_request_a_frame_for_all_objects(cvat: StandIn) -> None:
    prepare(cvat)
    for i in range(10):
        draw(cvat, (10 + i, 5 * i, 30 + i, 5 * i + 9))
    assert propagate(cvat) == 0
    assert asked(cvat) == [(frame, 10) for frame in range(20)]
    assert len(_tracks(cvat, 1)) == len(_tracks(cvat, 2)) == 10


def test_lost_is_outside_at_the_last_box_and_found_again_it_is_seen(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, AWAY)
    assert propagate(cvat, "--to", "12") == 0
    (first,), (second,) = _tracks(cvat, 1), _tracks(cvat, 2)
    assert keyframes(first) == [
        (0, AWAY, False),
        (4, _box(4, AWAY), False),
        (5, _box(4, AWAY), True),
        (8, _box(8, AWAY), False),
        (10, _box(10, AWAY), False),
        (11, _box(11, AWAY), False),
    ]
    ends = [(12, _box(12, AWAY), False), (13, _box(12, AWAY), True)]
    assert keyframes(second) == [(8, _box(8, AWAY), False), (10, _box(10, AWAY), False), *ends]


def test_backward_and_both_make_one_track(cvat: StandIn) -> None:
    prepare(cvat)
    box = (60, 20, 80, 40)
    draw(cvat, box, frame=4)
    assert propagate(cvat, "--from", "4", "--both", "--job", "1") == 0
    (only,) = _tracks(cvat, 1)
    assert keyframes(only) == [(0, (52, 20, 72, 40), False), (11, (74, 20, 94, 40), False)]
    assert [frame for frame, _ in asked(cvat)] == [*range(4, 12), *range(4, -1, -1)]
    assert propagate(cvat, "--undo", "1") == 0
    assert propagate(cvat, "--from", "4", "--backward", "--job", "1") == 0
    (only,) = _tracks(cvat, 1)
    assert keyframes(only) == [(0, (52, 20, 72, 40), False), (4, box, False), (5, box, True)]


def test_masks_stay_masks_in_one_group_and_the_seam_is_written_once(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    draw(cvat, BOX, group=5)
    drawn = draw(cvat, MASK, "mask")
    assert propagate(cvat, "--to", "14") == 0
    first, second = (cvat.annotations.read(job) for job in (1, 2))
    assert [shape["frame"] for shape in first["shapes"]] == list(range(12))
    assert [shape["frame"] for shape in second["shapes"]] == [12, 13, 14], "CVAT joins tracks at the seam, not masks"
    said = capsys.readouterr().out
    assert "left alone: masks on frames 7-11 of job 2, since the job beside it has them" in said
    assert "run 1: 1 track of 6 keyframes, 15 masks\n" in said
    assert {shape["group"] for shape in first["shapes"] + second["shapes"]} == {6}, "a new one"
    assert first["shapes"][0]["id"] == drawn
    assert first["shapes"][4]["points"] == [1, 1, 1, 3, 18, 20, 20, 21]
    assert {track["shapes"][0]["type"] for track in first["tracks"]} == {"rectangle"}


def test_a_second_run_over_masks_replaces_what_the_first_wrote_and_ends_at_a_persons(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    draw(cvat, MASK, "mask")
    assert propagate(cvat, "--job", "1") == 0
    assert "run 1: 12 masks\n" in capsys.readouterr().out
    before = stored(cvat)
    assert propagate(cvat, "--job", "1") == 0
    assert stored(cvat) == before
    held = cvat.annotations.job(1).by_kind["shapes"]
    (corrected,) = [number for number, shape in held.items() if shape["frame"] == 6]
    held[corrected] = held[corrected] | {"points": [0, 6, 30, 50, 32, 51], "source": "manual"}
    assert propagate(cvat, "--job", "1", "--from", "2") == 0
    (shape,) = [shape for shape in held.values() if shape["frame"] == 6]
    assert shape["id"] == corrected


def test_polygons_are_on_every_frame_or_thinned(cvat: StandIn) -> None:
    prepare(cvat)
    polygon = (10, 20, 30, 20, 30, 40, 10, 40)
    draw(cvat, polygon, "polygon")
    assert propagate(cvat, "--job", "1") == 0
    assert [key[0] for key in keyframes(_tracks(cvat, 1)[0])] == list(range(12))
    assert propagate(cvat, "--undo", "1") == 0
    assert propagate(cvat, "--job", "1", "--keyframe-iou", "0.9") == 0
    (only,) = _tracks(cvat, 1)
    assert [key[0] for key in keyframes(only)] == [0, 10, 11]
    assert {len(key["points"]) for key in only["shapes"]} == {64}
    assert propagate(cvat, "--undo", "2") == 0
    assert propagate(cvat, "--job", "1", "--as", "rectangle") == 0
    assert keyframes(_tracks(cvat, 1)[0])[0] == (0, BOX, False)


def test_a_polygon_as_masks_replaces_itself(cvat: StandIn) -> None:
    prepare(cvat)
    drawn = draw(cvat, (10, 20, 30, 20, 30, 40, 10, 40), "polygon")
    assert propagate(cvat, "--job", "1", "--as", "mask", "--to", "3") == 0
    shapes = cvat.annotations.read(1)["shapes"]
    assert [(shape["frame"], shape["type"], shape["points"][-4:]) for shape in shapes] == [
        (frame, "mask", [10 + 2 * frame, 20, 29 + 2 * frame, 39]) for frame in range(4)
    ]
    assert shapes[0]["id"] == drawn


def test_a_persons_keyframe_ends_the_run_and_stays(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    person = (90, 20, 110, 40)
    number = draw_track(cvat, [(0, BOX, False), (6, person, False)])
    assert propagate(cvat) == 0
    assert (
        "1 of 1 will end where people have them further on, the first on frame 6: --restart" in capsys.readouterr().out
    )
    (only,) = _tracks(cvat, 1)
    assert only["id"] == number
    assert keyframes(only) == [(0, BOX, False), (5, _box(5), False), (6, person, False)]
    assert max(frame for frame, _ in asked(cvat)) == 5
    assert not _tracks(cvat, 2)


def test_restart_goes_on_from_every_keyframe_of_a_person(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    person, gone = (90, 20, 110, 40), (94, 20, 114, 40)
    draw_track(cvat, [(0, BOX, False), (3, person, False), (5, gone, True), (8, BOX, False)])
    assert propagate(cvat, "--restart-at-keyframes", "--to", "10") == 0
    assert "where people have them" not in capsys.readouterr().out
    (only,) = _tracks(cvat, 1)
    assert keyframes(only) == [
        (0, BOX, False),
        (2, _box(2), False),
        (3, person, False),
        (4, (92, 20, 112, 40), False),
        (5, gone, True),
        (8, BOX, False),
        (10, _box(2), False),
        (11, _box(2), True),
    ]
    (rest,) = _tracks(cvat, 2)
    assert keyframes(rest)[0] == (8, BOX, False), "as people have it in the first job"


def test_what_is_lost_behind_a_persons_keyframe_is_outside(cvat: StandIn) -> None:
    prepare(cvat)
    person = (12, 60, 32, 80)
    draw_track(cvat, [(0, AWAY, False), (4, person, False)])
    assert propagate(cvat, "--job", "1", "--restart-at-keyframes") == 0
    ends = [(4, person, False), (5, person, True), (8, (20, 60, 40, 80), False), (11, (26, 60, 46, 80), False)]
    assert keyframes(_tracks(cvat, 1)[0])[-4:] == ends


def test_a_track_goes_on_where_an_earlier_run_closed_it(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    assert propagate(cvat, "--to", "9") == 0
    assert [frame for frame, _, outside in keyframes(_tracks(cvat, 1)[0]) if outside] == [10]
    assert propagate(cvat, "--from", "9", "--to", "19") == 0
    (first,), (second,) = _tracks(cvat, 1), _tracks(cvat, 2)
    assert not [key for key in keyframes(first) + keyframes(second) if key[2]]
    assert keyframes(first)[0] == (0, BOX, False)
    assert keyframes(second)[-1][0] == 19


def test_a_track_that_reaches_the_end_of_a_job_is_not_met_behind_it(cvat: StandIn) -> None:
    """Without a later keyframe CVAT holds a box to the end, but of its own job."""
    prepare(cvat)
    draw(cvat, BOX)
    assert propagate(cvat, "--to", "15") == 0
    assert propagate(cvat, "--from", "14") == 0
    (first,), (second,) = _tracks(cvat, 1), _tracks(cvat, 2)
    assert keyframes(first)[-1] == (11, _box(11), False)
    assert [frame for frame, _, outside in keyframes(second) if not outside][-1] == 19
    assert not [key for key in keyframes(second) if key[2]]


@pytest.mark.parametrize("start", [8, 2])
def test_a_track_of_the_next_job_goes_on_with_one_object_alone(cvat: StandIn, start: int) -> None:
    """Two people's tracks overlap at the seam: both would change the one behind it, which a server refuses."""
    prepare(cvat)
    for shift in (0, 3):
        draw_track(cvat, [(0, (10 + shift, 20, 30 + shift, 40), False), (11, (32 + shift, 20, 52 + shift, 40), False)])
    other = draw_track(cvat, [(7, (25, 20, 45, 40), False), (11, (33, 20, 53, 40), False)], job=2)
    assert propagate(cvat, "--from", str(start)) == 0
    assert len(_tracks(cvat, 1)) == 2
    assert other in {one["id"] for one in _tracks(cvat, 2)}


def test_people_have_drawn_the_object_on_a_later_frame(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    draw(cvat, (18, 21, 38, 41), frame=5)
    draw(cvat, (18, 21, 38, 41), frame=3, label_id=1)
    assert propagate(cvat) == 0
    (only,) = _tracks(cvat, 1)
    assert keyframes(only) == [(0, BOX, False), (4, _box(4), False), (5, _box(4), True)]
    assert not _tracks(cvat, 2)
    assert [shape["frame"] for shape in cvat.annotations.read(1)["shapes"]] == [5, 3]


def test_what_people_change_while_it_runs_is_left_alone(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    number = draw(cvat, BOX)
    answer = cvat.answers[""]

    def meanwhile(request: Any) -> Any:
        held = cvat.annotations.job(1).by_kind["shapes"]
        held[number] = held[number] | {"points": [11, 20, 31, 40]}
        return answer(request)

    cvat.answers = {"": meanwhile}
    assert propagate(cvat) == 0
    assert f"left alone: shape {number} was changed while it was followed" in capsys.readouterr().out
    assert not _tracks(cvat, 1)
    assert len(cvat.annotations.read(1)["shapes"]) == 1


def test_closed_jobs_and_deleted_frames_are_left_alone(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat, states={2: "completed"}, deleted=[3])
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    out = capsys.readouterr().out
    assert "job 2 is completed" in out
    assert "1 deleted frame\n" in out
    assert [frame for frame, _ in asked(cvat)] == [0, 1, 2, *range(4, 12)]
    assert not _tracks(cvat, 2)
    assert propagate(cvat, "--job", "2") == 1


def test_jobs_that_are_closed_are_taken_where_people_say_so(cvat: StandIn) -> None:
    prepare(cvat, states={2: "completed"})
    draw(cvat, BOX)
    assert propagate(cvat, "--include", "completed") == 0
    assert _tracks(cvat, 2)


def test_a_dry_run_asks_about_no_frame_and_writes_nothing(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    draw(cvat, MASK, "mask", label_id=1)
    before = stored(cvat)
    assert propagate(cvat, "--dry-run") == 0
    assert "2 objects (1 rectangle, 1 mask) would be followed through 19 frames" in capsys.readouterr().out
    assert stored(cvat) == before
    assert not asked(cvat)
    assert propagate(cvat, "--dry-run", "--labels", "person") == 0
    assert "1 object (1 mask)" in capsys.readouterr().out


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_function_that_is_no_tracker_begins_no_run(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    def interact(_: object) -> None:
        raise ValueError("pos_points: expected at least one point")

    prepare(cvat)
    draw(cvat, BOX)
    cvat.answers = {"": []}
    assert propagate(cvat, *options) == 1
    assert "did not answer as a tracker: is it sam2-tracker?" in capsys.readouterr().err
    cvat.answers = {"": interact}
    assert propagate(cvat, *options) == 1
    assert "is of kind interactor, not the tracker that is wanted" in capsys.readouterr().err
    cvat.answers = {"": track}
    assert propagate(cvat, "--keyframe-iou", "0.9") == 0, "with the right one nothing is unfinished"
    assert "run 1: 1 track" in capsys.readouterr().out


def test_what_is_of_other_forms_is_named(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    draw(cvat, [10, 10, 20, 5], "ellipse")
    draw(cvat, [40, 10, 50, 5], "ellipse")
    draw(cvat, [40, 10], "points", frame=1)
    draw(cvat, [], "skeleton", label_id=CAR + 1)
    assert propagate(cvat, "--dry-run", "--labels", "car") == 0
    said = capsys.readouterr().out
    assert "1 object (1 rectangle)" in said
    assert "2 annotations of type ellipse: only rectangles, polygons and masks are followed" in said
    assert "points" not in said
    assert "skeleton" not in said, "it is not of the labels that were named"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--from", "3"), "there is nothing to follow on frame 3"),
        (("--labels", "car,boat"), "--labels: the task has no label 'boat', it has car, "),
        (("--from", "30"), "there is no frame 30"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    assert propagate(cvat, *options) == 1
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert not asked(cvat)


def test_an_answer_that_is_none_is_a_sentence_and_writes_nothing(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    before = stored(cvat)
    cvat.answers = {"": {"shapes": [], "states": []}}
    assert propagate(cvat) == 1
    assert "did not answer as a tracker" in capsys.readouterr().err
    assert stored(cvat) == before


def test_answers_are_clipped_to_what_cvat_says(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, (170, 20, 199, 40))
    assert propagate(cvat, "--to", "3") == 0
    assert keyframes(_tracks(cvat, 1)[0])[-2][1] == (176, 20, 200, 40)


def test_where_people_have_one_at_its_place_is_said(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    number = draw(cvat, BOX)
    draw(cvat, _box(6, BOX), frame=6)
    draw(cvat, _box(8, BOX), frame=8)
    assert propagate(cvat, "--job", "1") == 0
    said = f"left alone: shape {number} from frame 6 on, where people have one of its label at its place\n"
    assert said in capsys.readouterr().out


def test_undo_takes_back_what_nobody_changed(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    draw(cvat, MASK, "mask")
    kept = draw(cvat, (50, 50, 60, 60))
    before = stored(cvat)
    assert propagate(cvat) == 0
    assert propagate(cvat, "--undo", "1") == 0
    assert stored(cvat) == before
    assert propagate(cvat, "--shapes", "9999", "--job", "1") == 1
    assert "--shapes 9999: no shape or track of frame 0, those there are: " in capsys.readouterr().err
    assert propagate(cvat, "--shapes", str(kept), "--job", "1") == 0
    held = cvat.annotations.job(1).by_kind["tracks"]
    (number,) = held
    held[number]["shapes"][1]["points"][0] += 9
    assert propagate(cvat, "--undo", "2") == 0
    assert "run 2: 0 annotations taken back\nleft alone: 1 annotation that people have" in capsys.readouterr().out
    assert list(held) == [number]


def test_nothing_that_breaks_a_real_server_is_ever_sent(cvat: StandIn) -> None:
    """The stand-in refuses mask tracks, unknown sources and frames outside the job."""
    prepare(cvat)
    mask_track = {"frame": 0, "label_id": CAR, "group": 0, "source": "auto", "attributes": []}
    key = {"type": "mask", "frame": 0, "points": list(MASK), "outside": False, "attributes": []}
    with pytest.raises(ValueError, match="unexpected type of track"):
        cvat.annotations.patch(1, "create", {"tracks": [mask_track | {"shapes": [key]}]})
    for form, points in (("rectangle", BOX), ("mask", MASK), ("polygon", (10, 20, 30, 20, 30, 40))):
        draw(cvat, points, form)
    assert propagate(cvat) == 0
    for (job, *_), (first, last) in zip(cvat.tasks[TASK].jobs, ((0, 11), (7, 19)), strict=True):
        held = cvat.annotations.read(job)
        frames = {one["frame"] for one in held["shapes"]}
        frames |= {key["frame"] for one in held["tracks"] for key in one["shapes"]}
        assert frames <= set(range(first, last + 1))


def test_places_to_look_at_come_with_links(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    draw(cvat, AWAY)
    assert propagate(cvat, "--to", "11") == 0
    table, said = capsys.readouterr().out.splitlines()[-2:]
    assert table.split() == ["car", "1", "12", "9", "0.90", "2"]
    assert said == "2 places to look at: propagate-task-4-run-1.html"
    page = Path("propagate-task-4-run-1.html").read_text()
    link = f'<a href="{cvat.url}/tasks/4/jobs/1?frame='
    assert [text.split('"')[0] for text in page.split(link)[1:]] == ["5", "8"]
    assert propagate(cvat, "--review", "1", "--page", "pages/again.html") == 0
    assert Path("pages/again.html").read_text() == page
    assert propagate(cvat, "--review", "7") == 1


def test_through_cvat_no_picture_is_fetched(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, BOX)
    cvat.answers = {"sam2": lambda request: track(request | {"image": base64.b64encode(picture(request["frame"]))})}
    options = ("--task", str(TASK), "--url", cvat.url, "--via-cvat", "sam2", "--to", "3")
    cvat.kinds = {"sam2": "tracker"}
    assert main(["propagate", *options]) == 0
    assert [(body["task"], body["frame"]) for body in cvat.bodies] == [(TASK, frame) for frame in range(4)]
    assert keyframes(_tracks(cvat, 1)[0])[1] == (3, _box(3), False)
    assert not [request for request in cvat.asked if "type=frame" in request]


def test_tagged_frames_are_starts_and_lose_their_tags(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX, frame=2)
    draw(cvat, (60, 70, 80, 90), frame=8, job=2)
    tag = {"label_id": 3, "group": 0, "source": "manual", "attributes": []}
    for job, frame in ((1, 2), (1, 4), (1, 8), (2, 8), (2, 16)):
        cvat.annotations.patch(job, "create", {"tags": [tag | {"frame": frame}]})
    cvat.annotations.patch(1, "create", {"tags": [tag | {"frame": 3, "label_id": 1}]})
    assert propagate(cvat, "--tagged", "propagate", "--to", "11") == 1
    captured = capsys.readouterr()
    assert "--to 11 lies before --from 16" in captured.err
    left = [(one["frame"], one["label_id"]) for job in (1, 2) for one in cvat.annotations.read(job)["tags"]]
    assert left == [(3, 1), (16, 3)]
    assert len(_tracks(cvat, 2)) == 2
    draw(cvat, (60, 70, 80, 90), frame=16, job=2)
    assert propagate(cvat, "--tagged", "propagate") == 0
    assert propagate(cvat, "--tagged", "follow") == 1
    assert "the task has no label 'follow'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("job", "why"),
    [((1, "consensus_replica", 0, 11), "consensus replica job"), ((1, "annotation", 0, 11), "completed: --include")],
    ids=["replica", "handed in"],
)
def test_tags_in_jobs_that_are_left_alone_are_left_too(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], job: tuple[int, str, int, int], why: str
) -> None:
    prepare(cvat, jobs=[job, (2, "annotation", 0, 19)], states={1: "completed"} if job[1] == "annotation" else {})
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX, frame=3, job=2)
    tag = {"frame": 3, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag]})
    before = cvat.annotations.all()
    assert propagate(cvat, "--tagged", "propagate") == 0
    assert cvat.annotations.all() == before
    said = capsys.readouterr().out
    assert f"left alone: job 1 is {'a ' if 'replica' in why else ''}{why}" in said
    assert "no frame is tagged 'propagate'" in said


@pytest.mark.parametrize(("form", "frame", "job"), [("rectangle", 14, 2), ("rectangle", 5, 1), ("mask", 14, 2)])
def test_from_a_tagged_frame_only_what_people_have_there_is_followed(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], form: str, frame: int, job: int
) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX if form == "rectangle" else (0, 400, 10, 20, 29, 39), form)
    assert propagate(cvat) == 0
    tag = {"frame": frame, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(job, "create", {"tags": [tag]})
    before = [cvat.annotations.read(number)["shapes" if form == "mask" else "tracks"] for number in (1, 2)]
    draw(cvat, (120, 70, 140, 90), frame=frame, job=job, label_id=1)
    capsys.readouterr()
    assert propagate(cvat, "--tagged", "propagate", "--both") == 0
    captured = capsys.readouterr()
    assert "(car) goes on as a run followed it" in captured.out + captured.err
    assert "1 object (1 rectangle) to follow" in captured.out
    for number, items in zip((1, 2), before, strict=True):
        now = cvat.annotations.read(number)
        assert all(item in now["shapes"] + now["tracks"] for item in items)
    assert propagate(cvat, "--tagged", "propagate") == 0
    assert "no frame is tagged 'propagate'" in capsys.readouterr().out


def test_what_people_have_changed_on_a_tagged_frame_is_followed_from_there(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    tag = {"frame": 5, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag]})
    (track,) = _tracks(cvat, 1)
    dragged = {**track["shapes"][0], "frame": 5, "points": [60, 70, 80, 90]}
    keys = [key for key in track["shapes"] if key["frame"] < 5] + [dragged]
    keys += [key for key in track["shapes"] if key["frame"] > 5]
    cvat.annotations.patch(1, "update", {"tracks": [{**track, "shapes": keys}]})
    assert propagate(cvat, "--tagged", "propagate") == 0
    (track,) = _tracks(cvat, 1)
    assert position_at(track, 9) == Position("rectangle", (68.0, 70.0, 88.0, 90.0))


def test_from_a_tagged_frame_goes_on_what_a_run_followed_only_so_far(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX)
    assert propagate(cvat, "--to", "4") == 0
    tag = {"frame": 4, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag]})
    assert propagate(cvat, "--tagged", "propagate") == 0
    (track,) = _tracks(cvat, 1)
    assert position_at(track, 11) is not None


def test_each_tagged_frame_has_a_page(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    for frame, box in ((0, BOX), (4, (120, 70, 140, 90))):
        draw(cvat, box, frame=frame)
        tag = {"frame": frame, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
        cvat.annotations.patch(1, "create", {"tags": [tag]})
    assert propagate(cvat, "--tagged", "propagate", "--page", str(tmp_path / "look.html")) == 0
    assert sorted(page.name for page in tmp_path.glob("*.html")) == ["look-run-1.html", "look-run-2.html"]


def test_a_tagged_frame_without_objects_keeps_its_tag(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    tag = {"frame": 0, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag]})
    cvat.annotations.patch(1, "create", {"tags": [tag | {"frame": 4}]})
    draw(cvat, BOX, frame=4)
    assert propagate(cvat, "--tagged", "propagate", "--job", "1") == 1
    assert "there is nothing to follow on frame 0" in capsys.readouterr().err
    assert [one["frame"] for one in cvat.annotations.read(1)["tags"]] == [0]
    assert len(_tracks(cvat, 1)) == 1


def test_issues_are_opened_once(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    draw(cvat, AWAY)
    assert propagate(cvat, "--job", "1", "--issues") == 0
    assert "2 issues opened" in capsys.readouterr().out
    shown = [(one["job"], one["frame"], one["message"]) for one in cvat.issues]
    assert shown == [(1, 5, "car 1: lost"), (1, 8, "car 1: back")]
    assert cvat.issues[0]["position"] == list(_box(4, AWAY))
    assert propagate(cvat, "--job", "1", "--issues") == 0
    assert "0 issues opened" in capsys.readouterr().out


def test_of_a_run_that_was_taken_back_no_issues_are_opened(cvat: StandIn) -> None:
    prepare(cvat)
    draw(cvat, AWAY)
    assert propagate(cvat, "--job", "1") == 0
    assert propagate(cvat, "--undo", "1") == 0
    assert propagate(cvat, "--job", "1", "--review", "1", "--issues") == 0
    assert not cvat.issues


def test_what_people_mended_in_the_later_of_two_jobs_says_where_the_object_is(cvat: StandIn) -> None:
    """Both jobs show frame 9; the track of the first has it where the run had followed it to."""
    prepare(cvat)
    draw(cvat, BOX)
    assert propagate(cvat) == 0
    (track,) = _tracks(cvat, 2)
    mended = {**track["shapes"][0], "frame": 9, "points": [60, 50, 80, 70]}
    keys = [key for key in track["shapes"] if key["frame"] != 9]
    ordered = sorted([mended, *keys], key=lambda key: int(key["frame"]))
    cvat.annotations.patch(2, "update", {"tracks": [{**track, "shapes": ordered}]})
    assert propagate(cvat, "--from", "9") == 0
    for job in (1, 2):
        (track,) = _tracks(cvat, job)
        position = position_at(track, 9)
        assert position is not None
        assert tuple(position.points) == (60, 50, 80, 70), f"job {job}"


def test_where_nothing_was_written_the_frame_keeps_its_tag(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, (100, 20, 120, 40), frame=2)
    assert propagate(cvat, "--from", "2", "--to", "8") == 0
    number = draw(cvat, BOX)
    tag = {"label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag | {"frame": frame} for frame in (0, 4)]})

    def move(request: dict[str, Any]) -> Any:
        shape = next(one for one in cvat.annotations.read(1)["shapes"] if one["id"] == number)
        cvat.annotations.patch(1, "update", {"shapes": [shape | {"points": [12, 20, 32, 40]}]})
        return track(request)

    cvat.answers[""] = move
    assert propagate(cvat, "--tagged", "propagate") == 0
    said = capsys.readouterr().out
    assert f"left alone: shape {number} was changed while it was followed" in said
    assert "left alone: the tag of frame 0, since nothing was written" in said
    left = [one["frame"] for one in cvat.annotations.read(1)["tags"]]
    assert left == [0], "on frame 4 all goes on as the first run followed it"
    cvat.answers[""] = track
    assert propagate(cvat, "--tagged", "propagate") == 0
    assert not cvat.annotations.read(1)["tags"]


def test_a_tag_in_a_job_that_was_handed_in_meanwhile_stays(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX)
    tag = {"frame": 0, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag]})

    def hand_in(request: dict[str, Any]) -> Any:
        cvat.tasks[TASK].states = {1: "completed"}
        return track(request)

    cvat.answers[""] = hand_in
    assert propagate(cvat, "--tagged", "propagate") == 0
    assert len(cvat.annotations.read(1)["tags"]) == 1


def test_tags_go_with_the_last_run_that_was_not_taken_back(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("propagate", "tag")]
    draw(cvat, BOX)
    for _ in range(2):
        assert propagate(cvat) == 0
    assert propagate(cvat, "--undo", "2") == 0
    tag = {"frame": 4, "label_id": 3, "group": 0, "source": "manual", "attributes": []}
    cvat.annotations.patch(1, "create", {"tags": [tag]})
    assert propagate(cvat, "--tagged", "propagate") == 0
    assert not cvat.annotations.read(1)["tags"]
    assert propagate(cvat, "--undo", "last") == 0
    assert [one["frame"] for one in cvat.annotations.read(1)["tags"]] == [4]


def test_objects_on_a_huge_picture_go_to_the_tracker_in_parts() -> None:
    asked: list[int] = []

    class Answering:
        takes_labels = True

        def call(self, _: Picture, fields: Mapping[str, object]) -> object:
            states = fields["states"]
            assert isinstance(states, list)
            asked.append(len(states))
            return {"shapes": [None] * len(states), "states": states}

    _, states = Tracker(Answering()).follow(Picture("huge.png", bytes), list(range(50)), (10_000, 10_000))
    assert (asked, states) == ([21, 21, 8], list(range(50)))


def test_where_a_task_takes_no_tracks_it_is_said_before_anything_is_followed(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """CVAT stores none in a task with honeypots."""
    prepare(cvat, honeypots=[9], validation=[9])
    draw(cvat, (10, 20, 30, 40))
    assert propagate(cvat) == 1
    assert "task 4 tests annotators with honeypots (gt_pool), and CVAT stores no tracks" in capsys.readouterr().err
    assert asked(cvat) == []
    assert propagate(cvat, "--as", "mask") == 0
    assert len(cvat.annotations.read(1)["shapes"]) == 12
