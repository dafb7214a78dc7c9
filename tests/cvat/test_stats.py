"""``promptable stats`` over the stand-in server: every figure is counted by hand here."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from promptable.cli.main import main
from promptable.cvat.stats.tracks import TrackBoxes
from tests.cvat.chromium import needs_chromium, run_in_page
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn, Task

TASK = 7
HW = (100, 200)
JOBS = [(1, "annotation", 0, 4), (2, "annotation", 3, 9)]
"""They overlap on frames 3 and 4."""
CAR, EVIL, SCENE, REVIEW = range(4)
NAMES = ["car", "<script>alert(1)</script>", "scene", "needs-review"]


@pytest.fixture
def person(cvat: StandIn) -> Person:
    cvat.tasks = {TASK: Task([b""] * 10, HW, JOBS, deleted=[9])}
    cvat.labels = {("task_id", TASK): [(name, "any") for name in NAMES]}
    return Person(cvat, TASK)


def stats(cvat: StandIn, folder: Path, *options: str, status: int = 0) -> Any:
    """The figures of task 7, as JSON."""
    source = () if {"--job", "--project"} & set(options) else ("--task", str(TASK))
    written = ["--json", str(folder / "stats.json"), "--page", str(folder / "stats.html")]
    assert main(["stats", *source, "--url", cvat.url, *written, *options]) == status
    return json.loads((folder / "stats.json").read_text())


def draw_track(
    cvat: StandIn, job: int, *keyframes: tuple[int, Sequence[float], bool], form: str = "rectangle", **fields: Any
) -> int:
    shapes = [
        {"type": form, "frame": frame, "points": list(points), "outside": outside, "rotation": 0, "attributes": []}
        for frame, points, outside in keyframes
    ]
    track = {
        "frame": shapes[0]["frame"],
        "label_id": CAR,
        "source": "auto",
        "attributes": [],
        "shapes": shapes,
    } | fields
    return int(cvat.annotations.patch(job, "create", {"tracks": [track]})["tracks"][0]["id"])


def listed(figures: Any, kind: str) -> list[tuple[int, int, int]]:
    """Job, frame and object of what is listed of a kind."""
    faults = [one for one in figures["faults"]["listed"] if one["kind"] == kind]
    assert len(faults) == figures["faults"]["counts"][kind]
    return [(one["job"], one["frame"], one["object"]) for one in faults]


def test_every_count_by_hand(person: Person, tmp_path: Path) -> None:
    person.add(0, CAR, [10, 10, 30, 50])  # 20 x 40
    person.add(0, CAR, [100, 10, 180, 50], source="auto")  # 80 x 40
    person.add(1, EVIL, [0, 0, 10, 0, 0, 10], "polygon")  # half of 10 x 10
    person.add(1, EVIL, [1, 2, 1, 50, 50, 51, 51], "mask")  # 2 of 4 pixels
    person.add(3, CAR, [10, 10, 50, 50])  # in job 1, and below again in job 2, which shows the frame too
    shared = person.cvat.annotations.read(1)["shapes"][-1]
    person.cvat.annotations.patch(2, "create", {"shapes": [shared]})
    draw_track(person.cvat, 2, (5, [0, 0, 10, 10], False), (7, [0, 0, 20, 10], True))  # on 5 and 6: 10 and 15 wide
    person.tag(2, SCENE)
    person.tag(4, REVIEW)  # says nothing about the frame, which stays empty
    person.add(9, CAR, [0, 0, 20, 20])  # the frame is deleted
    figures = stats(person.cvat, tmp_path)
    assert figures["totals"] == {
        "tasks": 1,
        "jobs": 2,
        "frames": 9,
        "annotated_frames": 6,  # 0, 1, 2 by its tag, 3, 5, 6
        "shapes": 5,
        "tracks": 1,
        "tags": 2,
        "objects": 7,
    }
    car, evil, scene, review = figures["labels"]
    assert (car["objects"], car["shapes"], car["tracks"], car["frames"]) == (5, 3, 1, 4)
    assert car["sources"] == {"auto": 2, "manual": 2}
    assert car["width"] == {"min": 10, "median": 20, "max": 80}  # 10, 15, 20, 40, 80
    assert car["area"] == {"min": 100, "median": 800, "max": 3200}  # 100, 150, 800, 1600, 3200
    assert car["aspect"] == {"min": 0.5, "median": 1, "max": 2}  # .5, 1, 1, 1.5, 2
    assert (evil["name"], evil["objects"], evil["frames"]) == (NAMES[EVIL], 2, 1)
    assert evil["area"] == {"min": 2, "median": 26, "max": 50}
    assert (scene["tags"], scene["frames"], scene["objects"], scene["width"]) == (1, 1, 0, None)
    assert (review["tags"], review["frames"], review["sources"]) == (1, 1, {"manual": 1})
    assert figures["objects_per_frame"] == {"0": 4, "1": 3, "2": 2}
    assert [(job["job"], job["frames"], job["annotated_frames"], job["objects"]) for job in figures["jobs"]] == [
        (1, 5, 4, 5),
        (2, 4, 2, 2),
    ]
    assert listed(figures, "empty") == [(1, 4, None), (2, 7, None), (2, 8, None)]


def test_labels_that_nothing_has_are_named_and_take_no_row(
    person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person.add(0, CAR, [10, 10, 30, 50])
    figures = stats(person.cvat, tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1 object on 1 of 9 frames: 1 shape, 0 tracks; 0 tags"
    assert [line.split()[0] for line in said[1:3]] == ["label", "car"]
    assert said[3] == "nothing is labelled <script>alert(1)</script>, scene, needs-review"
    page = (tmp_path / "stats.html").read_text()
    assert "<p>Nothing is labelled &lt;script&gt;alert(1)&lt;/script&gt;, scene, needs-review.</p>" in page
    assert page.count("<tr><th>car</th>") == 1
    assert "<tr><th>scene</th>" not in page
    assert len(figures["labels"]) == 4, "the JSON has all"


def test_what_looks_wrong_on_a_frame(person: Person, tmp_path: Path) -> None:
    tiny = person.add(0, CAR, [10, 10, 13, 50])
    nothing = person.add(0, EVIL, [5, 5, 5, 5])
    line = person.add(0, CAR, [0, 50, 199, 50], "polyline")  # lines are thin
    beyond = person.add(1, CAR, [150, 10, 202, 50])
    person.add(1, EVIL, [150, 60, 201, 80])  # a pixel, as videos of odd size have it
    person.add(2, CAR, [10, 10, 50, 50])
    double = person.add(2, CAR, [10, 10, 50, 53])  # 40 of 43: .93
    person.add(2, EVIL, [10, 10, 50, 50])  # another label
    person.add(2, CAR, [100, 10, 140, 50])
    person.add(2, CAR, [100, 10, 140, 55])  # 40 of 45: .89
    figures = stats(person.cvat, tmp_path)
    assert listed(figures, "tiny") == [(1, 0, tiny), (1, 0, nothing)]
    assert listed(figures, "outside") == [(1, 1, beyond)]
    assert listed(figures, "doubles") == [(1, 2, double)]
    assert "IoU 0.93" in next(one["detail"] for one in figures["faults"]["listed"] if one["kind"] == "doubles")
    assert not any(one["object"] == line for one in figures["faults"]["listed"])


def test_masks_are_doubles_by_their_pixels(person: Person, tmp_path: Path) -> None:
    person.add(0, CAR, [0, 400, 0, 0, 19, 19], "mask")
    double = person.add(0, CAR, [0, 380, 0, 1, 19, 19], "mask")  # 380 of 400
    person.add(0, CAR, [0, 40, 320, 40, 0, 0, 19, 19], "mask")  # the same box, a fifth of the pixels
    assert listed(stats(person.cvat, tmp_path), "doubles") == [(1, 0, double)]


def test_sizes_far_from_their_label(person: Person, tmp_path: Path) -> None:
    for i in range(12):
        person.add(i % 5, CAR, [10 * i, 10, 10 * i + 20, 30 + i])  # 400 to 620
    far = person.add(2, CAR, [0, 40, 120, 100])  # 7200
    person.add(3, EVIL, [0, 40, 120, 100])  # alone of its label
    figures = stats(person.cvat, tmp_path)
    assert listed(figures, "outliers") == [(1, 2, far)]


def test_sizes_that_are_all_alike_have_no_outlier_nearby(person: Person, tmp_path: Path) -> None:
    for i in range(12):
        person.add(i % 5, CAR, [10 * i, 10, 10 * i + 20, 30])
    person.add(2, CAR, [0, 40, 30, 80])  # three times as large
    assert listed(stats(person.cvat, tmp_path), "outliers") == []


def test_tracks_that_jump_or_stay_open(person: Person, tmp_path: Path) -> None:
    cvat = person.cvat
    jumps = draw_track(cvat, 2, (5, [0, 0, 20, 20], False), (6, [15, 0, 35, 20], False), (8, [15, 0, 35, 20], True))
    draw_track(cvat, 2, (5, [0, 50, 20, 70], False), (6, [9, 50, 29, 70], False), (8, [9, 50, 29, 70], True))  # .38
    left = draw_track(cvat, 2, (5, [100, 50, 120, 70], False), (6, [102, 50, 122, 70], False))
    draw_track(cvat, 2, (5, [100, 0, 120, 20], False), (9, [105, 0, 125, 20], False))  # drawn up to the end
    figures = stats(cvat, tmp_path)
    assert listed(figures, "jumps") == [(2, 6, jumps)]
    assert listed(figures, "open") == [(2, 6, left)]


def test_a_track_that_turns_is_as_large_as_cvat_shows_it(person: Person, tmp_path: Path) -> None:
    keys = [
        {"type": "rectangle", "frame": frame, "points": [50, 40, 150, 60], "outside": outside, "rotation": turn}
        for frame, turn, outside in ((5, 315, False), (7, 45, False), (8, 45, True))
    ]
    draw_track(person.cvat, 2, (5, [], False), shapes=[key | {"attributes": []} for key in keys])
    width = stats(person.cvat, tmp_path)["labels"][CAR]["width"]
    assert width == {"min": 84.85, "median": 84.85, "max": 100}, "level on the frame between the two keyframes"


def test_short_tracks_of_a_long_job_are_looked_at_where_they_are(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.cvat.tasks[TASK] = Task([b""] * 3000, HW, [(2, "annotation", 0, 2999)])
    for first in (5, 1505):
        draw_track(person.cvat, 2, (first, [0, 0, 20, 20], False), (first + 2, [0, 0, 20, 20], True))
    looked = Mock(side_effect=TrackBoxes.on)
    monkeypatch.setattr(TrackBoxes, "on", lambda *given: looked(*given))
    assert stats(person.cvat, tmp_path)["totals"]["objects"] == 4
    assert looked.call_count <= 6, "not in every part of the job"


def test_a_track_that_the_next_job_goes_on_with_is_not_open(person: Person, tmp_path: Path) -> None:
    draw_track(person.cvat, 1, (1, [0, 0, 20, 20], False))
    draw_track(person.cvat, 2, (3, [0, 0, 20, 20], False), (6, [0, 0, 20, 20], True))
    away = draw_track(person.cvat, 1, (1, [100, 0, 120, 20], False))
    assert listed(stats(person.cvat, tmp_path), "open") == [(1, 1, away)]


@pytest.mark.parametrize("options", [("--job", "1"), ("--since", "2026-11-01")])
def test_a_track_is_not_open_where_the_next_job_is_not_looked_at(
    person: Person, tmp_path: Path, options: tuple[str, ...]
) -> None:
    for job, date in ((1, "2026-11-20T00:00:00Z"), (2, "2026-10-01T00:00:00Z")):
        person.cvat.tasks[TASK].fields[job] = {"updated_date": date}
    draw_track(person.cvat, 1, (1, [0, 0, 20, 20], False))
    draw_track(person.cvat, 2, (3, [0, 0, 20, 20], False), (6, [0, 0, 20, 20], True))
    assert listed(stats(person.cvat, tmp_path, *options), "open") == []


def test_so_is_a_skeleton_whose_points_are_tracks(person: Person, tmp_path: Path) -> None:
    def skeleton(job: int, frame: int, *points: Sequence[float], outside: bool = False) -> int:
        keys = [{"type": "points", "frame": frame, "points": one or [0, 0], "outside": not one} for one in points]
        elements = [{"frame": frame, "shapes": [key]} for key in keys]
        end: list[tuple[int, Sequence[float], bool]] = [(frame + 3, [], True)] if outside else []
        return draw_track(person.cvat, job, (frame, [], False), *end, form="skeleton", elements=elements)

    skeleton(1, 1, [10, 10], [30, 60], [])  # a point that is outside is at no place
    skeleton(2, 3, [10, 10], [30, 60], outside=True)
    away = skeleton(1, 1, [100, 0], [120, 20])
    figures = stats(person.cvat, tmp_path)
    assert listed(figures, "open") == [(1, 1, away)]
    assert figures["labels"][CAR]["height"] == {"min": 20, "median": 50, "max": 50}


@pytest.mark.parametrize(("hidden", "height"), [([False, False, True], 30), ([True, True, True], 60)])
def test_a_skeleton_is_as_large_as_its_points_that_are_shown(
    person: Person, tmp_path: Path, hidden: Sequence[bool], height: float
) -> None:
    places = [(50.0, 30.0), (70.0, 60.0), (0.0, 0.0)]  # COCO has keypoints that nobody has seen at 0, 0
    elements = [
        {"type": "points", "frame": 0, "points": place, "outside": outside}
        for place, outside in zip(places, hidden, strict=True)
    ]
    skeleton = {"type": "skeleton", "frame": 0, "label_id": CAR, "points": [], "elements": elements, "source": "manual"}
    person.cvat.annotations.patch(1, "create", {"shapes": [skeleton | {"attributes": []}]})
    assert stats(person.cvat, tmp_path)["labels"][CAR]["height"]["median"] == height


def test_two_tracks_on_one_another_are_told_once(person: Person, tmp_path: Path) -> None:
    draw_track(person.cvat, 2, (5, [0, 0, 20, 20], False), (9, [0, 0, 20, 20], True))
    second = draw_track(
        person.cvat, 2, (5, [50, 0, 70, 20], False), (7, [0, 0, 20, 20], False), (9, [0, 0, 9, 9], True)
    )
    assert listed(stats(person.cvat, tmp_path), "doubles") == [(2, 7, second)]


HOSTILE: Mapping[str, tuple[str, Sequence[Any]]] = {
    "three numbers": ("rectangle", [1, 2, 3]),
    "no number": ("rectangle", [1, 2, math.nan, 4]),
    "nothing": ("polygon", []),
    "null": ("polygon", [1, 2, None, 4, 5, 6]),
    "turned inside out": ("rectangle", [30, 30, 10, 10]),
    "infinite": ("ellipse", [1, math.inf, 3, 4]),
    "unheard of": ("blob", [1, 2]),
}


def test_masks_that_cannot_be_read_and_tracks_of_masks(person: Person, tmp_path: Path) -> None:
    wrong_sum = person.add(0, CAR, [0, 10, 0, 0, 4, 4], "mask")
    huge = person.add(0, CAR, [0, 10**18, 0, 0, 10**9, 10**9], "mask")
    key = {"type": "mask", "frame": 5, "points": [0, 4, 0, 0, 1, 1], "outside": False}
    person.cvat.annotations.job(2).by_kind["tracks"][9] = {"id": 9, "frame": 5, "label_id": CAR, "shapes": [key]}
    figures = stats(person.cvat, tmp_path)
    assert listed(figures, "broken") == [(1, 0, wrong_sum), (1, 0, huge), (2, 5, 9)]


def test_a_track_of_two_forms(person: Person, tmp_path: Path) -> None:
    track = draw_track(person.cvat, 2, (5, [1, 1, 9, 9], False), (6, [1, 1, 9, 9], False))
    held = person.cvat.annotations.job(2).by_kind["tracks"][track]["shapes"]
    held[1] |= {"type": "polygon", "points": [1, 1, 9, 1, 9, 9]}
    assert listed(stats(person.cvat, tmp_path), "broken") == [(2, 5, track)]


@pytest.mark.parametrize("why", HOSTILE)
def test_what_cannot_be_read_is_named_and_the_rest_is_counted(person: Person, tmp_path: Path, why: str) -> None:
    form, points = HOSTILE[why]
    broken = person.add(0, CAR, points, form)
    person.add(0, CAR, [10, 10, 30, 30])
    track = draw_track(person.cvat, 2, (5, points, False), form=form)
    figures = stats(person.cvat, tmp_path)
    assert listed(figures, "broken") == [(1, 0, broken), (2, 5, track)]
    assert figures["labels"][CAR]["width"] == {"min": 20, "median": 20, "max": 20}


def test_every_form_has_its_size(person: Person, tmp_path: Path) -> None:
    person.add(0, CAR, [50, 50, 90, 40], "ellipse")  # 80 x 20: pi * 40 * 10
    person.add(0, CAR, [20, 20, 40, 40], "rectangle", rotation=45)  # a square on its corner is 28.28 wide
    person.add(1, CAR, [1, 1, 11, 21], "points")
    corners = [0, 0, 10, 0, 10, 10, 0, 10, 5, 5, 15, 5, 15, 15, 5, 15]
    person.add(1, CAR, corners, "cuboid")
    person.add(2, CAR, [], "skeleton", elements=[{"points": [0, 0]}, {"points": [30, 60]}])
    car = stats(person.cvat, tmp_path)["labels"][CAR]
    assert car["width"] == {"min": 10, "median": 28.28, "max": 80}  # 10, 15, 28.28, 30, 80
    assert car["area"] == {"min": 225, "median": 400, "max": 1256.64}


def test_an_empty_task(person: Person, tmp_path: Path) -> None:
    figures = stats(person.cvat, tmp_path)
    assert figures["totals"]["objects"] == 0
    assert figures["faults"]["counts"]["empty"] == 9


def test_fail_on(person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    person.add(0, CAR, [10, 10, 12, 50])
    stats(person.cvat, tmp_path, "--fail-on", "doubles,outside")
    stats(person.cvat, tmp_path, "--fail-on", "doubles, tiny", status=3)
    assert "1 tiny" in capsys.readouterr().err
    stats(person.cvat, tmp_path, "--fail-on", "all", status=3)
    with pytest.raises(SystemExit):
        stats(person.cvat, tmp_path, "--fail-on", "everything")
    assert "got 'everything'" in capsys.readouterr().err


def test_since_is_said_in_utc_wherever_it_was_typed(person: Person, tmp_path: Path) -> None:
    stats(person.cvat, tmp_path, "--since", "2020-01-01T01:00+02:00")
    assert "only jobs changed since 2019-12-31 23:00 UTC" in (tmp_path / "stats.html").read_text()


def test_since_leaves_out_jobs_that_are_older(person: Person, tmp_path: Path) -> None:
    person.cvat.tasks[TASK].fields[1] = {"updated_date": "2026-11-01T10:00:00Z"}
    person.cvat.tasks[TASK].fields[2] = {"updated_date": "2026-11-02T10:00:00Z"}
    figures = stats(person.cvat, tmp_path, "--since", "2026-11-02")
    assert [job["job"] for job in figures["jobs"]] == [2]
    assert figures["left_out"] == ["task 7: job 1 was last changed on 2026-11-01 10:00 UTC"]
    assert figures["totals"]["frames"] == 6, "what it shares with job 1 counts now"


def test_people_are_named_only_when_asked_for(person: Person, tmp_path: Path) -> None:
    ann = {"url": "http://cvat/api/users/2", "id": 2, "username": "ann", "first_name": "", "last_name": ""}
    person.cvat.tasks[TASK].fields[1] = {"assignee": ann}
    person.add(0, CAR, [10, 10, 12, 50])
    person.add(5, CAR, [10, 10, 30, 50])
    assert "ann" not in json.dumps(stats(person.cvat, tmp_path)).replace("annot", "")
    figures = stats(person.cvat, tmp_path, "--by-annotator")
    assert [(one["annotator"], one["jobs"], one["objects"], one["faults"]) for one in figures["annotators"]] == [
        ("ann", 1, 1, 5),  # four empty frames, and the tiny box
        (None, 1, 1, 3),
    ]


def test_a_job_alone(person: Person, tmp_path: Path) -> None:
    person.add(3, CAR, [10, 10, 30, 50])
    person.cvat.annotations.patch(2, "create", {"shapes": [person.cvat.annotations.read(1)["shapes"][0]]})
    figures = stats(person.cvat, tmp_path, "--job", "2")
    assert (figures["totals"]["jobs"], figures["totals"]["objects"], figures["totals"]["frames"]) == (1, 1, 6)


def test_it_only_reads(person: Person, tmp_path: Path) -> None:
    person.cvat.read_only = True
    stats(person.cvat, tmp_path)
    assert {request.split()[0] for request in person.cvat.asked} == {"GET"}


@needs_chromium
def test_the_page(person: Person, tmp_path: Path) -> None:
    person.add(0, EVIL, [10, 10, 12, 50])
    stats(person.cvat, tmp_path)
    page = (tmp_path / "stats.html").read_text()
    code = """
      const choice = document.querySelector("select.filter");
      const links = () => [...document.querySelectorAll("table.links tr:not([hidden]) a")].map((a) => a.href);
      const all = links().length;
      choice.value = "tiny";
      choice.dispatchEvent(new Event("change"));
      return [all, links(), document.querySelectorAll("script").length];
    """
    everything, tiny, _ = run_in_page(page, code, tmp_path)
    assert (everything, tiny) == (9, [f"{person.cvat.url}/tasks/7/jobs/1?frame=0"])
    assert "<script>alert" not in page
    assert "<title>Statistics of task 7, pictures</title>" in page
    assert "<td>2026-11-26 04:10 UTC</td>" in page
    assert "</svg>8.94 to 8.94, median 8.94</td>" in page
    assert "<td>2.00 x 40.00</td>" in page, "two decimals everywhere"


@needs_chromium
def test_where_nothing_looks_wrong_the_page_says_so_without_tables(person: Person, tmp_path: Path) -> None:
    for frame in range(9):
        person.add(frame, CAR, [10, 10, 30, 50])
    stats(person.cvat, tmp_path)
    code = """
      const about = document.querySelector("header p").textContent;
      return [about.split("; ").at(-1), document.querySelector("table.links").checkVisibility()];
    """
    assert run_in_page((tmp_path / "stats.html").read_text(), code, tmp_path) == ["nothing looks wrong", False]


def test_a_project_is_its_tasks_together(person: Person, tmp_path: Path) -> None:
    cvat = person.cvat
    cvat.tasks |= {8: Task([b""] * 2, HW, [(11, "annotation", 0, 1)]), 9: Task([], HW, [])}
    cvat.labels |= {("task_id", 8): [("car", "any"), ("van", "any")], ("project_id", 1): []}
    person.add(0, CAR, [10, 10, 30, 50])
    shape = {"type": "rectangle", "points": [0, 0, 40, 40], "frame": 1, "label_id": 0, "source": "auto"}
    cvat.annotations.patch(11, "create", {"shapes": [shape]})
    figures = stats(cvat, tmp_path, "--project", "1")
    assert figures["totals"] | {"frames": 11, "objects": 2, "jobs": 3, "tasks": 2} == figures["totals"]
    assert [label["name"] for label in figures["labels"]] == [*NAMES, "van"]
    assert (figures["labels"][CAR]["shapes"], figures["labels"][CAR]["frames"]) == (2, 2)
    assert figures["left_out"] == ["task 9 has no data yet"]
    assert "<title>Statistics of project 1, project</title>" in (tmp_path / "stats.html").read_text()


def test_a_file_that_cannot_be_written_is_named(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["stats", "--task", str(TASK), "--url", person.cvat.url, "--page", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"promptable stats: {tmp_path}: Is a directory\n"
