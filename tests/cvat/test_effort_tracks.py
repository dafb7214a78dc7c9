"""``promptable effort`` on tracks and masks that ``propagate`` wrote: judged by its journal."""

import json
from pathlib import Path
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.cvat.geometry.position import position_at
from tests.cvat.journaled import NAMES, run
from tests.cvat.propagating import TASK, draw, prepare, propagate
from toy.cvat.stand_in import StandIn

PERSON = 1


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def effort(cvat: StandIn, folder: Path, *options: str) -> Any:
    page = folder / "effort.html"
    assert main(["effort", "--task", str(TASK), "--url", cvat.url, "--output", str(page), *options]) == 0
    return json.loads(page.with_suffix(".json").read_text())


def verdicts(figures: Any) -> dict[str, int]:
    return {name: n for name, n in figures.items() if n and name not in ("name", "automatic", "accepted")}


def update(cvat: StandIn, track: dict[str, Any], **fields: Any) -> None:
    cvat.annotations.patch(1, "update", {"tracks": [track | fields]})


def test_tracks_are_judged_by_the_mean_iou_with_what_the_run_wrote(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9)])
    for x in (0, 40, 80, 120, 160):
        draw(cvat, [x, 20, x + 20, 40])
    assert propagate(cvat, "--to", "9") == 0
    tracks = sorted(cvat.annotations.read(1)["tracks"], key=lambda track: track["shapes"][0]["points"][0])
    _, relabelled, gone, lower, shorter = tracks
    update(cvat, relabelled, label_id=PERSON)
    cvat.annotations.patch(1, "delete", {"tracks": [gone]})
    down = [key | {"points": [*key["points"][:3], key["points"][3] - 4]} for key in lower["shapes"]]
    update(cvat, lower, shapes=down, source="semi-auto")  # 16 of 20 pixels high: IoU .8 on every frame
    last = shorter["shapes"][0] | {"frame": 4, "outside": True, "points": [168, 20, 188, 40]}
    first = [key for key in shorter["shapes"] if key["frame"] < 4]
    update(cvat, shorter, shapes=[*first, last])  # seen on 4 of 10 frames
    report = effort(cvat, tmp_path, "--reviewed", "all")
    assert report["total"]["automatic"] == 0, "tracks are counted for themselves"
    (car,) = report["tracks"]
    assert verdicts(car) == {"unchanged": 1, "relabelled": 1, "deleted": 1, "edited": 1, "reworked": 1}
    assert report["relabelled"] == [{"from": "car", "to": "person", "count": 1}]
    worst = [
        (one["verdict"], one["frames"], *(at["frame"] for at in one["most_corrected"]))
        for one in report["worst_tracks"]
    ]
    apart = "by how much of how many frames was wrong: 9, 9, 6, 1.8; two at the most, a quarter of the track apart"
    assert worst == [("relabelled", 9, 1), ("deleted", 9, 1, 3), ("reworked", 9, 4, 6), ("edited", 9, 1, 3)], apart
    assert (tmp_path / "effort.html").read_text().count("<figure>") == 7
    assert verdicts(effort(cvat, tmp_path, "--reviewed", "0-3")["tracks"][0])["unchanged"] == 2, "not what came after"


def test_the_frames_are_shown_on_which_people_corrected_a_track_the_most(cvat: StandIn, tmp_path: Path) -> None:
    """Two mistakes of one track, far apart: at either end of them it is as it was."""
    prepare(cvat, jobs=[(1, "annotation", 0, 19)])
    draw(cvat, [0, 20, 20, 40])
    assert propagate(cvat, "--to", "19") == 0
    (track,) = cvat.annotations.read(1)["tracks"]
    places = {frame: position_at(track, frame) for frame in range(20)}
    down = {4: 4, 5: 10, 6: 4, 15: 6}
    keys = [
        track["shapes"][0] | {"frame": frame, "points": [x1, y1 + down.get(frame, 0), x2, y2 + down.get(frame, 0)]}
        for frame, place in places.items()
        if place is not None
        for x1, y1, x2, y2 in [place.points]
    ]
    update(cvat, track, shapes=keys, source="semi-auto")
    (worst,) = effort(cvat, tmp_path, "--reviewed", "all")["worst_tracks"]
    assert worst["most_corrected"] == [{"frame": 5, "iou": 0.3333}, {"frame": 15, "iou": 0.5385}]


def test_a_track_under_a_new_id_is_found_by_its_place(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9)])
    draw(cvat, [0, 20, 20, 40])
    assert propagate(cvat, "--to", "9") == 0
    (track,) = cvat.annotations.read(1)["tracks"]
    cvat.annotations.patch(1, "delete", {"tracks": [track]})
    cvat.annotations.patch(1, "create", {"tracks": [track]})
    assert verdicts(effort(cvat, tmp_path, "--reviewed", "all")["tracks"][0]) == {"unchanged": 1}


@pytest.mark.parametrize(
    ("form", "points"),
    [
        ("points", [5, 5]),
        ("polyline", [5, 5, 9, 9, 20, 20]),
        ("skeleton", []),
        ("ellipse", [10, 30, 20, 20]),
        ("polygon", [1, 2, 3, 4, 5, 6, 7]),
        ("rectangle", [1, 2, 3]),
    ],
)
def test_a_track_of_no_form_of_ours_is_not_the_one_that_is_gone(
    cvat: StandIn, tmp_path: Path, form: str, points: list[float]
) -> None:
    """CVAT stores what scripts send: broken outlines, too."""
    prepare(cvat, jobs=[(1, "annotation", 0, 9)])
    draw(cvat, [0, 20, 20, 40])
    assert propagate(cvat, "--to", "9") == 0
    (track,) = cvat.annotations.read(1)["tracks"]
    key = track["shapes"][0] | {"type": form, "points": points}
    other = track | {"shapes": [key, key | {"frame": 9}]}
    cvat.annotations.patch(1, "create", {"tracks": [other]})
    assert verdicts(effort(cvat, tmp_path, "--reviewed", "all")["tracks"][0]) == {"unchanged": 1}
    cvat.annotations.patch(1, "delete", {"tracks": [track]})
    assert verdicts(effort(cvat, tmp_path, "--reviewed", "all")["tracks"][0]) == {"deleted": 1}


def test_a_track_that_cannot_be_read_any_more_is_reworked(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9)])
    draw(cvat, [0, 20, 20, 40])
    assert propagate(cvat, "--to", "9") == 0
    (track,) = cvat.annotations.read(1)["tracks"]
    update(cvat, track, shapes=[key | {"points": [1, 2, 3]} for key in track["shapes"]])
    assert verdicts(effort(cvat, tmp_path, "--reviewed", "all")["tracks"][0]) == {"reworked": 1}


def test_masks_of_a_group_are_judged_frame_by_frame(
    cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9)])
    draw(cvat, [0, 100, 10, 20, 19, 29], "mask")
    assert propagate(cvat, "--to", "9") == 0
    masks = {one["frame"]: one for one in cvat.annotations.read(1)["shapes"]}
    cvat.annotations.patch(1, "delete", {"shapes": [masks[3]]})
    smaller = [0, 80, *masks[4]["points"][-4:-1], masks[4]["points"][-1] - 2]  # 8 of 10 rows
    cvat.annotations.patch(1, "update", {"shapes": [masks[4] | {"points": smaller}]})
    report = effort(cvat, tmp_path, "--reviewed", "all")
    assert verdicts(report["total"]) == {"unchanged": 7, "edited": 1, "deleted": 1}, "the drawn one is a person's"
    assert not report["tracks"]
    assert (report["reviewed"]["frames"], report["reviewed"]["mask_frames"]) == (0, 9), "no detector was asked"
    assert "0 of them with a detector's answer, 9 with masks of propagate\n" in capsys.readouterr().out


def test_a_mask_that_people_drew_is_added_by_hand_also_in_the_group_of_a_run(cvat: StandIn, tmp_path: Path) -> None:
    jobs = [(1, "annotation", 0, 9)]
    prepare(cvat, jobs=jobs)
    cvat.labels["task_id", TASK] = [(name, "any") for name in NAMES]
    run(cvat, {0: [], 5: []}, tags=(), task=TASK, jobs=jobs)  # a detector missed it on both frames
    draw(cvat, [0, 100, 10, 20, 19, 29], "mask")
    assert propagate(cvat, "--to", "9") == 0
    assert verdicts(effort(cvat, tmp_path, "--reviewed", "0")["total"]) == {"added_by_hand": 1}
    total = effort(cvat, tmp_path, "--reviewed", "5")["total"]
    assert verdicts(total) == {"unchanged": 1}, "the other masks are the run's"


def test_a_mask_of_a_run_stays_its_own_in_the_group_of_a_later_run(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9)])
    draw(cvat, [0, 100, 10, 20, 19, 29], "mask")
    assert propagate(cvat, "--to", "9") == 0
    (mask,) = (one for one in cvat.annotations.read(1)["shapes"] if one["frame"] == 5)
    smaller = [0, 80, *mask["points"][-4:-1], mask["points"][-1] - 2]  # 8 of 10 rows
    cvat.annotations.patch(1, "update", {"shapes": [mask | {"group": 0, "points": smaller}]})
    assert propagate(cvat, "--from", "5", "--to", "9", "--shapes", str(mask["id"])) == 0
    assert verdicts(effort(cvat, tmp_path, "--reviewed", "5")["total"]) == {"edited": 1}


def test_a_run_that_was_taken_back_counts_for_nothing(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat, jobs=[(1, "annotation", 0, 9)])
    draw(cvat, [0, 20, 20, 40])
    assert propagate(cvat, "--to", "9") == 0
    assert propagate(cvat, "--undo", "1") == 0
    assert not effort(cvat, tmp_path, "--reviewed", "all")["tracks"]
