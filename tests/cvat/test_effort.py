"""``promptable effort`` over the stand-in server: people of a script correct what a run wrote, and all is counted."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from promptable.cli.main import main
from promptable.cvat.annotate import detector
from promptable.cvat.effort.figures import Acceptance
from promptable.cvat.effort.judging.verdicts import has_places
from promptable.cvat.effort.page import charts
from promptable.cvat.geometry.position import position_at
from tests.cvat.annotating import TASK, annotate, prepare
from tests.functions.requests import file_bytes
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn, Task

RUST, SCRATCH, DENT, SIDE, REVIEW = 0, 3, 4, 9, 8


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(detector, "PAUSES", ())


@pytest.fixture
def person(cvat: StandIn) -> Person:
    """Before a task whose run has written 11 boxes: 5 in job 1 on frames 1 to 3, 6 in job 2 on frames 5 to 9."""
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("scratch", "rectangle"), ("dent", "any")]
    assert annotate(cvat) == 3
    return Person(cvat, TASK)


def effort(cvat: StandIn, folder: Path, *options: str) -> Any:
    """The report of task 3, as JSON."""
    page = folder / "effort.html"
    assert main(["effort", "--task", str(TASK), "--url", cvat.url, "--output", str(page), *options]) == 0
    return json.loads(page.with_suffix(".json").read_text())


def counts(figures: Any) -> dict[str, int]:
    """Verdicts that were given at all."""
    kept = {name: count for name, count in figures.items() if name not in ("name", "automatic", "accepted")}
    return {name: count for name, count in kept.items() if count}


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
    verdicts = {"unchanged": 1, "minor_edit": 1, "edited": 1, "reworked": 0, "relabelled": 1, "deleted": 1}
    expected = {"automatic": 5, "accepted": 2, **verdicts, "added_by_hand": 1}
    assert report["total"] == {"name": "all", **expected}
    assert report["labels"] == [{"name": "rust", **expected}]
    assert report["relabelled"] == [{"from": "rust", "to": "scratch", "count": 1}]
    assert report["reviewed"] == {"what": "the frames of completed jobs", "frames": 4, "mask_frames": 0}, "4 failed"
    assert report["not_reviewed"] == {"frames": 5, "objects": {"rust": 6}}


def test_acceptance_by_confidence(person: Person, tmp_path: Path) -> None:
    """Of .4: relabelled and deleted. Of .9: unchanged, minor edit, edited."""
    correct_job_1(person)
    weak, strong = effort(person.cvat, tmp_path)["acceptance"]["total"]
    assert weak == {"low": 0.4, "high": 0.5, "count": 2, "accepted": 0, "interval": [0.0, 0.6576]}
    # Wilson of 2 of 3: centre (2/3 + z^2/6) / (1 + z^2/3), reach z sqrt(2/27 + z^2/36) / (1 + z^2/3), z = 1.96
    assert strong == {"low": 0.9, "high": 1.0, "count": 3, "accepted": 2, "interval": [0.2077, 0.9385]}


def test_attributes_count_as_a_minor_edit_and_our_own_as_none(person: Person, tmp_path: Path) -> None:
    strong, weak = person.shapes(6)
    person.edit(strong, SIDE, "right")
    person.edit(weak, REVIEW, "false")  # whoever clears the box for review accepts the label
    (other, _) = person.shapes(7)
    person.drag(other | {"occluded": True}, other["points"])
    assert counts(effort(person.cvat, tmp_path, "--reviewed", "5-")["total"]) == {"unchanged": 4, "minor_edit": 2}


def test_reviewed_frames_can_be_named(person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = effort(person.cvat, tmp_path, "--reviewed", "0-2,9")
    assert counts(report["total"]) == {"unchanged": 4}
    assert report["not_reviewed"] == {"frames": 5, "objects": {"rust": 7}}
    assert "not reviewed: 7 automatic labels on 5 frames\n" in capsys.readouterr().out
    assert counts(effort(person.cvat, tmp_path, "--reviewed", "all")["total"]) == {"unchanged": 11}


def test_what_lost_its_id_is_matched_one_to_one_by_overlap(person: Person, tmp_path: Path) -> None:
    """As an import of annotations does it, or somebody who deletes and draws anew."""
    for one in person.shapes(6):
        person.delete(one)
    person.add(6, RUST, [20, 6, 25, 40])  # as the weak one was, exactly
    person.add(6, RUST, [10, 6, 15, 30])  # 24 of 34 pixels of the strong one: .706
    person.add(6, RUST, [12, 6, 17, 40])  # 3 / 7 of it: another object
    assert counts(effort(person.cvat, tmp_path, "--reviewed", "6")["total"]) == {
        "unchanged": 1,
        "reworked": 1,
        "added_by_hand": 1,
    }


def test_what_was_there_before_and_what_others_made_was_not_missed(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    person = Person(cvat, TASK)
    person.add(6, RUST, [30, 2, 50, 12])
    assert annotate(cvat, "--append") == 3
    person.add(6, RUST, [30, 22, 50, 32], source="auto")  # of CVAT's own run, say
    assert counts(effort(cvat, tmp_path, "--reviewed", "6")["total"]) == {"unchanged": 2}


def test_only_labels_that_were_looked_for_on_a_frame_were_missed(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] += [("scratch", "rectangle")]
    scratches = tmp_path / "scratches.yaml"
    scratches.write_text("- {name: scratch, type: rectangle}\n")
    assert annotate(cvat, "--frames", "0-3") == 0
    assert annotate(cvat, "--frames", "2,5", "--labels", str(scratches), "--append") == 0
    for frame in (1, 2, 5):
        Person(cvat, TASK).add(frame, SCRATCH, [40, 3, 50, 20])
    added = [effort(cvat, tmp_path, "--reviewed", frame)["total"]["added_by_hand"] for frame in "125"]
    assert added == [0, 1, 1], "nobody looked for scratches on frame 1"


def test_a_run_that_was_taken_back_counts_for_nothing(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (one,) = person.shapes(1)
    person.drag(one, [10, 1, 15, 20])
    assert annotate(person.cvat, "--undo", "1") == 0
    assert annotate(person.cvat, "--frames", "2") == 0
    report = effort(person.cvat, tmp_path, "--reviewed", "all")
    assert report["runs_taken_back"] == [1]
    assert f"not counted: runs that were taken back (task {TASK}: 1)" in capsys.readouterr().out
    assert counts(report["total"]) == {"unchanged": 2}, "what is left of it on frame 1 was not added by hand either"


def test_what_a_later_run_replaced_counts_only_where_people_changed_it(person: Person, tmp_path: Path) -> None:
    strong, _ = person.shapes(3)
    person.drag(strong, [10, 3, 15, 33])
    assert annotate(person.cvat, "--replace") == 3
    assert counts(effort(person.cvat, tmp_path, "--reviewed", "all")["total"]) == {"unchanged": 11, "edited": 1}


def test_labels_that_were_removed_since_say_nothing_about_people(
    cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CVAT deletes a label's annotations with it."""
    prepare(cvat)
    cvat.labels["task_id", TASK].append(cvat.labels["task_id", TASK].pop(RUST))
    assert annotate(cvat) == 3
    person = Person(cvat, TASK)
    for frame in range(10):
        for one in person.shapes(frame):
            person.delete(one)
    cvat.labels["task_id", TASK].pop()
    report = effort(cvat, tmp_path, "--reviewed", "all")
    assert report["total"]["automatic"] == 0
    assert report["label_removed_since"] == {"rust": 11}
    assert "not counted: 11 of rust, which is no label of the task any more" in capsys.readouterr().out


def test_without_a_journal_only_what_cvat_knows(person: Person, tmp_path: Path, monkeypatch: Any) -> None:
    correct_job_1(person)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert main(["review", "--task", str(TASK), "--url", person.cvat.url, "--issues"]) == 0
    assert person.cvat.issues, "which are in a journal that has nothing else"
    report = effort(person.cvat, tmp_path)
    assert report["total"]["automatic"] == 0
    assert report["without_journal"]["3"] == {
        "labels": {"rust": {"auto": 1, "semi-auto": 2, "manual": 1}, "scratch": {"semi-auto": 1, "manual": 1}},
        "median_score": {"auto": 0.9, "semi-auto": 0.9},
    }
    assert "Task 3 has no journal here, so only CVAT&#x27;s own word" in (tmp_path / "effort.html").read_text()


def test_without_a_journal_a_score_of_1_is_none_and_a_replica_shows_nothing_new(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    jobs = [(1, "annotation", 0, 9), (2, "consensus_replica", 0, 9)]
    cvat.tasks[TASK] = replace(cvat.tasks[TASK], jobs=jobs)
    person = Person(cvat, TASK)
    person.add(0, RUST, [1, 1, 9, 9], source="auto")  # of a function without scores
    (shape,) = person.shapes(0)
    cvat.annotations.patch(2, "create", {"shapes": [shape]})
    assert effort(cvat, tmp_path, "--reviewed", "all")["without_journal"]["3"] == {
        "labels": {"rust": {"auto": 1}},
        "median_score": {},
    }
    person.add(1, RUST, [1, 1, 9, 9], source="auto", score=0.5)
    assert effort(cvat, tmp_path, "--reviewed", "all")["without_journal"]["3"]["median_score"] == {"auto": 0.5}


def test_time_is_said_only_from_what_somebody_states(person: Person, tmp_path: Path) -> None:
    correct_job_1(person)
    assert effort(person.cvat, tmp_path)["saved"] is None
    # five are there now, and one more was deleted; four were touched and one drawn
    dear = effort(person.cvat, tmp_path, "--seconds-per-box", "10")["saved"]
    assert dear == {"drawing": 50, "correcting": 50, "seconds": 0}
    quick = effort(person.cvat, tmp_path, "--seconds-per-box", "10", "--seconds-per-edit", "3")["saved"]
    assert quick == {"drawing": 50, "correcting": 22, "seconds": 28}


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--seconds-per-edit", "3", "--seconds-per-edit: say with --seconds-per-box what drawing takes"),
        ("--output", "effort.json", "--output names the page, and its JSON lies beside it: effort.html"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], option: str, value: str, sentence: str
) -> None:
    prepare(cvat)
    assert main(["effort", "--task", str(TASK), "--url", cvat.url, option, value]) == 2
    assert sentence in capsys.readouterr().err


def test_masks_outlines_and_tags(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] = [("rust", "any"), ("wet", "tag")]
    square = [0, 16, 2, 2, 5, 5]  # a mask of 4 x 4 pixels
    outline = {"label": "rust", "confidence": 0.8, "type": "polygon", "points": [20, 2, 30, 2, 30, 12, 20, 12]}
    cvat.answers = {"": [outline, {"label": "wet", "confidence": 0.7, "type": "tag"}]}
    labels = tmp_path / "labels.yaml"
    labels.write_text("- {name: rust, type: polygon}\n- {name: wet, type: tag}\n")
    assert annotate(cvat, "--labels", str(labels), "--frames", "0-3") == 0
    person = Person(cvat, TASK)
    (drawn,) = person.shapes(0)
    person.drag(drawn, [20, 2, 30, 2, 30, 10, 20, 10])  # 8 of 10 rows
    (tag,) = person.shapes(1, "tags")
    person.delete(tag, "tags")
    person.tag(1, 1)  # set again: matched by its label
    (tag,) = person.shapes(2, "tags")
    person.delete(tag, "tags")
    person.add(3, RUST, square, "mask")
    person.add(3, RUST, [5, 5, 9, 9], "points")  # of a form that no run writes
    report = effort(cvat, tmp_path, "--reviewed", "all")
    by_name = {label["name"]: counts(label) for label in report["labels"]}
    assert by_name == {"rust": {"unchanged": 3, "edited": 1, "added_by_hand": 2}, "wet": {"unchanged": 3, "deleted": 1}}


def test_a_project_is_one_report(person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    correct_job_1(person)
    cvat = person.cvat
    cvat.tasks[8] = Task(cvat.tasks[TASK].pictures[5:8], (40, 60), [(11, "annotation", 0, 2)], states={11: "completed"})
    cvat.labels["task_id", 8] = cvat.labels["project_id", 1] = cvat.labels["task_id", TASK]
    Person(cvat, 8).add(0, RUST, [1, 1, 5, 5])
    monkeypatch.chdir(tmp_path)
    assert main(["effort", "--project", "1", "--url", cvat.url]) == 0
    report = json.loads((tmp_path / "effort-project-1.json").read_text())
    assert report["total"]["automatic"] == 5
    assert report["without_journal"]["8"]["labels"] == {"rust": {"manual": 1}}


def test_the_worst_frames_come_first_with_links_into_the_editor(person: Person, tmp_path: Path) -> None:
    correct_job_1(person)
    worst = effort(person.cvat, tmp_path)["worst_frames"]
    assert [frame["frame"] for frame in worst] == [3, 2]
    assert worst[0]["verdicts"] == {"added_by_hand": 1, "deleted": 1, "edited": 1}
    page = (tmp_path / "effort.html").read_text()
    assert f'href="{person.cvat.url}/tasks/3/jobs/1?frame=3"' in page
    assert page.count('alt="before"') == 2
    assert page.index("frame=3") < page.index("frame=2")


def test_the_page_stays_below_5_mb_and_loads_nothing(person: Person, tmp_path: Path) -> None:
    """Twenty frames of noise, all with something to correct."""
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)
    cvat = person.cvat
    pictures = [file_bytes(noise, "PNG")] * 24
    cvat.tasks[TASK] = replace(cvat.tasks[TASK], pictures=pictures, jobs=[(1, "annotation", 0, 23)], hw=(600, 900))
    everywhere = [{"label": "rust", "confidence": 0.8, "type": "rectangle", "points": [10, 10, 500, 400]}]
    cvat.answers = {"": lambda _: everywhere}
    assert annotate(cvat, "--new-run", "--append") == 0
    for frame in range(24):
        person.add(frame, RUST, [600, 100, 800, 300])
    report = effort(cvat, tmp_path, "--reviewed", "all")
    page = (tmp_path / "effort.html").read_text()
    assert len(report["worst_frames"]) == page.count("<figure>") == 20
    assert len(page.encode()) <= 5e6
    assert "<svg" in page
    assert not [part for part in page.split('src="')[1:] if not part.startswith("data:")]


def test_without_matplotlib_the_page_says_what_to_install(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct_job_1(person)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    effort(person.cvat, tmp_path)
    page = (tmp_path / "effort.html").read_text()
    assert "pip install &#x27;promptable[reports]&#x27;" in page
    assert charts.MISSING.startswith("The chart needs matplotlib")
    assert 'alt="before"' in page


def test_a_label_of_another_script_is_drawn_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    drawn = charts.acceptance_charts([("\u72ac", [Acceptance(0.8, 0.9, 2, 1)])])
    assert drawn is not None
    assert "\u72ac" in drawn[0]
    assert not recwarn.list


def test_a_journal_that_holds_nothing_and_scores_that_are_none(person: Person, tmp_path: Path) -> None:
    (file,) = (tmp_path / "state").rglob("*.sqlite")
    with sqlite3.connect(file) as journal:
        journal.execute("UPDATE detections SET score = ?", (float("nan"),))
    report = effort(person.cvat, tmp_path, "--reviewed", "all", "--suggest", str(tmp_path / "new.yaml"))
    assert counts(report["total"]) == {"unchanged": 11}
    assert report["acceptance"]["total"] == []
    assert "0 reviewed labels with a confidence" in report["advice"]["review"]["why"]
    with sqlite3.connect(file) as journal:
        for table in ("runs", "frames", "places", "detections", "batches", "uploads"):
            journal.execute(f"DELETE FROM {table}")  # noqa: S608
    assert effort(person.cvat, tmp_path, "--reviewed", "all")["total"]["automatic"] == 0


def test_names_that_people_chose_are_only_texts(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    name = "<img src=x onerror=alert(1)> $\\frac{"
    cvat.labels["task_id", TASK][RUST] = (name, "rectangle")
    labels = tmp_path / "labels.yaml"
    labels.write_text(json.dumps([{"name": name, "prompts": ["rust"]}]))
    assert annotate(cvat, "--labels", str(labels)) == 3
    effort(cvat, tmp_path, "--reviewed", "all", "--suggest", str(tmp_path / "new.yaml"))
    page = (tmp_path / "effort.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_mask_that_cannot_be_read_is_compared_by_its_box(person: Person, tmp_path: Path) -> None:
    """CVAT stores run lengths of a wrong sum."""
    (one,) = person.shapes(1)
    person.delete(one)
    person.add(1, RUST, [0, 3, 10, 1, 14, 39], "mask")  # of the same box
    assert counts(effort(person.cvat, tmp_path, "--reviewed", "1")["total"]) == {"minor_edit": 1}


def test_points_that_make_no_shape_are_no_place(person: Person, tmp_path: Path) -> None:
    """CVAT stores what scripts send."""
    person.add(3, RUST, [1, 1, 9, 9, 5, 5])
    person.add(3, RUST, [1, 1, 9, 9, 5], "polygon")
    person.complete(1)
    assert counts(effort(person.cvat, tmp_path)["total"]) == {"unchanged": 5, "added_by_hand": 2}


@pytest.mark.parametrize(("form", "points"), [("polygon", [1, 2, 3, 4, 5, 6, 7]), ("rectangle", [1, 2, 3])])
def test_points_that_make_no_track_are_no_place(person: Person, tmp_path: Path, form: str, points: list[float]) -> None:
    common = {"label_id": RUST, "group": 0, "source": "manual", "attributes": []}
    key = {"type": form, "points": points, "occluded": False, "outside": False, "rotation": 0, "attributes": []}
    track = common | {"frame": 0, "elements": [], "shapes": [key | {"frame": frame} for frame in (0, 4)]}
    person.cvat.annotations.patch(1, "create", {"tracks": [track]})
    person.complete(1)
    assert counts(effort(person.cvat, tmp_path)["total"]) == {"unchanged": 5}


def test_a_track_is_placed_once_on_a_frame_and_its_keyframes_are_checked_once(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long tracks on many frames would take minutes."""
    common = {"label_id": RUST, "group": 0, "source": "manual", "attributes": []}
    key = {"type": "rectangle", "points": [50, 50, 60, 60], "occluded": False, "outside": False, "attributes": []}
    track = common | {"frame": 0, "elements": [], "shapes": [key | {"frame": frame, "rotation": 0} for frame in (0, 4)]}
    person.cvat.annotations.patch(1, "create", {"tracks": [track]})
    person.complete(1)
    placed, checked = Mock(side_effect=position_at), Mock(side_effect=has_places)
    monkeypatch.setattr("promptable.cvat.effort.judging.frames.position_at", placed)
    monkeypatch.setattr("promptable.cvat.effort.judging.frames.has_places", checked)
    assert counts(effort(person.cvat, tmp_path)["total"]) == {"unchanged": 5}
    assert placed.call_count == len({call.args[1] for call in placed.call_args_list})
    assert checked.call_count == 1
