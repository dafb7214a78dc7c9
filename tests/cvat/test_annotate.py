"""``promptable annotate`` over the stand-in server: what is stored, what is left alone, what is kept in the journal."""

import json
import re
import sqlite3
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.cvat.annotate import detector
from promptable.cvat.server import late_requests
from promptable.cvat.server.annotations import JobAnnotations
from tests.cvat.annotating import (
    ATTRIBUTES,
    BAD,
    TASK,
    annotate,
    asked_frames,
    detect,
    detect_without_floor,
    prepare,
    stored,
)
from toy.cvat.stand_in import StandIn, Task

RUST, REVIEW, FAILED = 0, 1, 2


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting."""
    monkeypatch.setattr(late_requests, "POLL_PAUSES", ())
    monkeypatch.setattr(detector, "PAUSES", (0.0,))


def test_a_folder_to_write_to_is_no_matter_of_a_task(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prepare(cvat)
    assert annotate(cvat, "--output", str(tmp_path / "out")) == 2
    assert "--output: that is for --images" in capsys.readouterr().err
    assert not cvat.asked


def _journal(tmp_path: Path) -> sqlite3.Connection:
    (file,) = (tmp_path / "state").rglob("*.sqlite")
    return sqlite3.connect(file)


def _shapes(cvat: StandIn) -> list[dict[str, Any]]:
    return [shape for held in cvat.annotations.all().values() for shape in held["shapes"]]


def test_shapes_carry_score_source_and_attributes_and_lie_in_the_picture(cvat: StandIn) -> None:
    prepare(cvat)
    assert annotate(cvat) == 3
    (strong, weak) = [shape for shape in _shapes(cvat) if shape["frame"] == 6]
    assert strong | {"id": 0} == {
        "id": 0,
        "frame": 6,
        "label_id": RUST,
        "type": "rectangle",
        "points": [10, 6, 15, 40],
        "score": 0.9,
        "source": "auto",
        "group": 0,
        "occluded": False,
        "outside": False,
        "z_order": 0,
        "rotation": 0,
        "attributes": [
            {"spec_id": 7, "value": "90"},
            {"spec_id": 8, "value": "false"},
            {"spec_id": 9, "value": "left"},
        ],
    }
    assert (weak["score"], weak["attributes"][1]["value"]) == (0.4, "true")
    assert sorted(shape["frame"] for shape in _shapes(cvat)) == [1, 2, 2, 3, 3, 5, 6, 6, 7, 7, 9]


def test_frames_to_review_and_frames_that_failed_are_tagged(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    assert annotate(cvat) == 3
    tags = {(tag["frame"], tag["label_id"]) for held in cvat.annotations.all().values() for tag in held["tags"]}
    assert tags == {(2, REVIEW), (3, REVIEW), (6, REVIEW), (7, REVIEW), (BAD, FAILED)}
    assert "4.png: the function answered 400: image: expected" in capsys.readouterr().err
    assert asked_frames(cvat).count(BAD) == 1, "what a function refuses it would refuse again"


def test_the_journal_does_not_keep_what_lets_a_request_in(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    assert annotate(cvat, "--function", f"{cvat.url}/?token=secret") == 3
    assert not any("secret" in line for line in _journal(tmp_path).iterdump())


def test_the_journal_keeps_what_was_not_uploaded(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    annotate(cvat)
    journal = _journal(tmp_path)
    scores = journal.execute("SELECT score, chosen FROM detections WHERE frame = 7 ORDER BY score").fetchall()
    assert scores == [(0.2, 0), (0.4, 1), (0.9, 1)]
    ids = {row[0] for row in journal.execute("SELECT server_id FROM uploads WHERE kind = 'shape'")}
    assert ids == {shape["id"] for shape in _shapes(cvat)}
    (options,) = journal.execute("SELECT options FROM runs").fetchone()
    assert json.loads(options)["review_below"] == 0.45


def test_min_confidence_says_what_is_uploaded(cvat: StandIn) -> None:
    prepare(cvat)
    annotate(cvat, "--min-confidence", "0.15", "--frames", "7", "--review-below", "0.3")
    assert [shape["score"] for shape in _shapes(cvat)] == [0.9, 0.4, 0.2]
    assert [shape["attributes"][1]["value"] for shape in _shapes(cvat)] == ["false", "false", "true"]


def test_frames_with_annotations_are_left_alone_and_named(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat, deleted=[0], honeypots=[9], validation=[9])
    manual = {"frame": 6, "label_id": RUST, "type": "rectangle", "points": [1, 1, 2, 2], "source": "manual"}
    cvat.annotations.patch(2, "create", {"shapes": [manual | {"attributes": [], "score": 1.0}]})
    visible = [{"frame": 1, "outside": False}, {"frame": 3, "outside": True}]
    cvat.annotations.patch(1, "create", {"tracks": [{"frame": 1, "label_id": RUST, "shapes": visible}]})
    assert annotate(cvat) == 3
    said = capsys.readouterr().out
    assert {shape["frame"] for shape in _shapes(cvat) if shape["source"] == "auto"} == {3, 5, 7}
    for sentence in (
        "1 frame to test annotators (9): --include honeypots takes it too",
        "1 deleted frame (0): --include deleted takes it too",
        "job 1: 2 frames with annotations (1-2)",
        "job 2: 1 frame with annotations (6)",
    ):
        assert f"left alone: {sentence}\n" in said
    assert set(asked_frames(cvat)) == {3, 4, 5, 7, 8}


def test_jobs_that_were_handed_in_are_left_alone_unless_told(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat, states={1: "completed"})
    assert annotate(cvat) == 0
    assert {shape["frame"] for shape in _shapes(cvat)} == {5, 6, 7, 9}
    assert "job 1 is completed: --include completed takes it too" in capsys.readouterr().out
    assert annotate(cvat, "--include", "completed") == 3
    assert {shape["frame"] for shape in _shapes(cvat)} == {1, 2, 3, 5, 6, 7, 9}


@pytest.mark.parametrize("kind", ["consensus_replica", "replica"])
def test_a_replica_is_left_alone_unless_named(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    """CVAT 2.80 has another name for it."""
    prepare(cvat)
    cvat.tasks[TASK].jobs = [*cvat.tasks[TASK].jobs, (3, kind, 0, 3)]
    assert annotate(cvat) == 3
    assert "job 3 is a replica of another job: --job 3 annotates it" in capsys.readouterr().out
    assert not cvat.annotations.read(3)["shapes"]
    where = ["--job", "3", "--url", cvat.url, "--function", f"{cvat.url}/", "--queue", str(tmp_path / "review.html")]
    assert main(["annotate", *where]) == 0
    assert {shape["frame"] for shape in cvat.annotations.read(3)["shapes"]} == {1, 2, 3}


@pytest.mark.parametrize(
    ("told", "frames"),
    [
        ("deleted", {1: {1, 2, 3}, 2: {5, 6, 7}}),
        ("honeypots", {1: {2, 3}, 2: {5, 6, 7, 9}}),
        ("ground-truth", {1: {2, 3}, 2: {5, 6, 7}, 5: {3}}),
        ("deleted, ground-truth,honeypots", {1: {1, 2, 3}, 2: {5, 6, 7, 9}, 5: {3}}),
    ],
)
def test_what_is_left_alone_is_taken_where_people_say_so(cvat: StandIn, told: str, frames: dict[int, set[int]]) -> None:
    prepare(cvat, deleted=[1], honeypots=[9], validation=[3])
    cvat.tasks[TASK].jobs = [*cvat.tasks[TASK].jobs, (5, "ground_truth", 0, 9)]
    assert annotate(cvat, "--include", told) == 3
    held = {job: {shape["frame"] for shape in held["shapes"]} for job, held in cvat.annotations.all().items()}
    assert {job: found for job, found in held.items() if found} == frames


def test_to_include_what_there_is_not_is_refused(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    with pytest.raises(SystemExit):
        annotate(cvat, "--include", "deleted,rejected")
    expected = "expected some of completed, ground-truth, honeypots, deleted, got 'rejected'"
    assert expected in capsys.readouterr().err


def test_a_dry_run_asks_nothing_and_writes_nothing(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    assert annotate(cvat, "--dry-run", "--limit", "4") == 0
    assert "4 frames would be asked about" in capsys.readouterr().out
    assert not asked_frames(cvat)
    assert not stored(cvat)


def test_a_video_points_to_what_follows_objects(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat, video=True)
    assert annotate(cvat, "--dry-run") == 0
    assert "promptable propagate --detect makes tracks of words" in capsys.readouterr().out


def test_a_video_of_which_only_tags_are_asked_has_no_tracks_of_them(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prepare(cvat, video=True)
    cvat.labels["task_id", TASK] += [("night", "tag")]
    (tmp_path / "tags.yaml").write_text("- {name: night, type: tag}\n")
    assert annotate(cvat, "--dry-run", "--labels", str(tmp_path / "tags.yaml")) == 0
    assert capsys.readouterr().out == "10 frames would be asked about\n"


def test_labels_that_the_task_lacks_are_named_with_the_closest(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prepare(cvat)
    file = tmp_path / "labels.yaml"
    file.write_text("- rusty\n- {name: crack, type: polygon, threshold: 0.2}\n- {name: doubtful, marks: review}\n")
    assert annotate(cvat, "--labels", str(file)) == 1
    assert "the task has no label 'rusty' (there is 'rust'); 'crack': mend the names" in capsys.readouterr().err
    assert not asked_frames(cvat)
    assert annotate(cvat, "--labels", str(file), "--create-labels", "--dry-run") == 0
    assert capsys.readouterr().out.startswith("labels that would be added: 'rusty', 'crack', 'doubtful'\n")
    assert len(cvat.labels["task_id", TASK]) == 3, "said, not done"
    assert annotate(cvat, "--labels", str(file), "--create-labels") == 3
    assert capsys.readouterr().out.startswith("labels added: 'rusty', 'crack', 'doubtful'\n")
    assert cvat.labels["task_id", TASK][3:] == [("rusty", "rectangle"), ("crack", "polygon"), ("doubtful", "tag")]
    tags = {(tag["frame"], tag["label_id"]) for held in cvat.annotations.all().values() for tag in held["tags"]}
    assert tags == {(2, 5), (3, 5), (6, 5), (7, 5), (BAD, FAILED)}, "the list's own label marks frames"


def test_labels_are_created_with_the_attributes_of_their_list(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    file = tmp_path / "labels.yaml"
    depth = {"name": "depth", "input_type": "select", "values": ["thin", "deep"]}
    file.write_text(f"- {{name: crack, attributes: [{json.dumps(depth)}]}}\n- {{name: doubtful, marks: review}}\n")
    assert annotate(cvat, "--labels", str(file), "--create-labels") == 3
    crack, doubtful = cvat.added_labels
    assert [one["name"] for one in crack["attributes"]] == ["depth", "confidence", "review"]
    assert crack["attributes"][0] == {**depth, "mutable": False, "default_value": "thin"}
    assert [one["default_value"] for one in crack["attributes"][1:]] == ["0", "false"]
    assert doubtful["attributes"] == []


def test_a_second_run_finds_nothing_to_do(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    annotate(cvat)
    page = tmp_path / "state" / "review.html"
    before, shown = stored(cvat), page.read_text()
    annotate(cvat)
    assert stored(cvat) == before
    assert page.read_text() == shown, "the page of the run that found something stays"


def test_what_people_annotate_while_it_runs_is_left_alone(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    manual = {"frame": 7, "label_id": RUST, "type": "rectangle", "points": [1, 1, 2, 2], "source": "manual"}
    detect = cvat.answers[""]

    def meanwhile(request: Any) -> Any:
        if asked_frames(cvat) and not cvat.annotations.read(2)["shapes"]:
            cvat.annotations.patch(2, "create", {"shapes": [manual | {"attributes": [], "score": 1.0}]})
        return detect(request)

    cvat.answers = {"": meanwhile}
    annotate(cvat)
    assert [shape["source"] for shape in _shapes(cvat) if shape["frame"] == 7] == ["manual"]
    assert "left alone: 1 frame annotated or closed by people while it ran" in capsys.readouterr().out


def test_replace_deletes_only_what_nobody_changed(cvat: StandIn) -> None:
    prepare(cvat)
    annotate(cvat, "--frames", "2,3,5,6")
    first = {shape["id"]: shape for shape in _shapes(cvat)}
    moved, edited, relabelled, *same = sorted(first)
    held = cvat.annotations.job(1).by_kind["shapes"]
    held[moved] = held[moved] | {"points": [11, 2, 16, 40]}
    held[edited] = held[edited] | {"attributes": [*held[edited]["attributes"][:2], {"spec_id": 9, "value": "right"}]}
    held[relabelled] = held[relabelled] | {"label_id": 5}
    assert annotate(cvat, "--replace", "--frames", "2,3,5,6") == 0
    now = {shape["id"] for shape in _shapes(cvat)}
    assert {moved, edited, relabelled} <= now
    assert not set(same) & now
    assert len(now) == 3 + len(first)


@pytest.mark.parametrize("mode", ["--replace", "--replace-all"])
def test_a_frame_that_is_replaced_is_marked_as_before(cvat: StandIn, mode: str) -> None:
    prepare(cvat)
    annotate(cvat, "--frames", "5-7")
    before = stored(cvat)
    assert annotate(cvat, "--frames", "5-7", mode, "--yes") == 0
    assert stored(cvat) == before
    assert sum(kind == "tags" for _, kind, *_ in before) == 2


@pytest.mark.parametrize("mode", ["--replace", "--replace-all"])
def test_a_frame_that_fails_keeps_what_it_has(cvat: StandIn, mode: str) -> None:
    prepare(cvat)
    annotate(cvat, "--frames", "6")
    before = _shapes(cvat)

    def fail(request: Any) -> Any:
        if request["floor"] < 1:
            raise ValueError("out of memory")
        return detect(request)

    cvat.answers = {"": fail}
    assert annotate(cvat, "--frames", "6", mode, "--yes") == 3
    assert _shapes(cvat) == before


def test_without_a_journal_only_replace_all_deletes_and_it_asks(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(cvat)
    manual = {"frame": 6, "label_id": RUST, "type": "rectangle", "points": [1, 1, 2, 2], "source": "manual"}
    cvat.annotations.patch(2, "create", {"shapes": [manual | {"attributes": [], "score": 1.0}]})
    assert annotate(cvat, "--replace") == 1
    assert "no automatic run of this task is in the journal" in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert annotate(cvat, "--replace-all", "--frames", "6") == 1
    assert [shape["source"] for shape in _shapes(cvat)] == ["manual"]
    assert annotate(cvat, "--replace-all", "--frames", "6", "--yes") == 0
    assert [shape["source"] for shape in _shapes(cvat)] == ["auto", "auto"]


def test_append_asks_before_it_adds_what_a_run_has_added(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    assert annotate(cvat, "--frames", "5-7", "--append") == 0
    once = stored(cvat)
    doubled = "run 1 stored 5 objects of these labels on these frames, which would be there twice: --replace puts"
    assert annotate(cvat, "--append", "--dry-run") == 0
    assert doubled in capsys.readouterr().out
    assert annotate(cvat, "--append") == 1
    assert doubled in capsys.readouterr().err
    assert stored(cvat) == once
    assert annotate(cvat, "--frames", "5-7", "--append", "--yes") == 0
    assert len(_shapes(cvat)) == 10


def test_append_adds_without_a_question_what_no_run_has_added(cvat: StandIn, tmp_path: Path) -> None:
    """Other labels on the same frames, and what a run that was taken back had added."""
    prepare(cvat)
    cvat.labels["task_id", TASK].append(("crack", "rectangle"))
    file = tmp_path / "labels.yaml"
    file.write_text("- crack\n")
    assert annotate(cvat, "--frames", "7") == 0
    assert annotate(cvat, "--frames", "7", "--append", "--labels", str(file)) == 0
    assert annotate(cvat, "--undo", "1") == 0
    assert annotate(cvat, "--frames", "7", "--append") == 0
    assert len(_shapes(cvat)) == 4


def test_what_another_machine_has_stored_is_not_added_again(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its journal is another one. What people have made of an automatic shape is theirs, and no twin."""
    prepare(cvat)
    annotate(cvat, "--frames", "5-7")
    held = cvat.annotations.job(2).by_kind["shapes"]
    held[min(held)] |= {"source": "semi-auto"}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert annotate(cvat, "--frames", "5-7", "--append") == 0
    assert [shape["frame"] for shape in _shapes(cvat)] == [5, 6, 6, 7, 7, 5]
    said = "job 2: 4 objects not added, since another run has stored the same\n"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("first", ["another machine", "another machine, before people hand the job in", "this run"])
def test_of_what_two_machines_send_at_once_the_first_stays(
    first: str, cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    create = JobAnnotations.create

    def both(annotations: JobAnnotations, shapes: Any, tags: Any) -> Any:
        """Another run has looked as well, and sends the same."""
        if first != "this run":
            cvat.annotations.patch(2, "create", {"shapes": deepcopy(shapes), "tags": deepcopy(tags)})
        answer = create(annotations, shapes, tags)
        if first == "this run":
            cvat.annotations.patch(2, "create", {"shapes": deepcopy(shapes), "tags": deepcopy(tags)})
        if first == "another machine, before people hand the job in":
            cvat.tasks[TASK].states = {2: "completed"}
        return answer

    monkeypatch.setattr(JobAnnotations, "create", both)
    assert annotate(cvat, "--frames", "5-7") == 0
    said = "job 2: 7 objects taken away again, since another run has stored the same\n"
    err = capsys.readouterr().err
    if first == "another machine":
        assert said in err
        assert len(stored(cvat)) == 7
        assert min(shape["id"] for shape in _shapes(cvat)) == 100, "the other's"
    elif first == "another machine, before people hand the job in":
        assert "job 2: 7 objects left twice in this job, which people have handed in, since" in err
        assert len(stored(cvat)) == 14
    else:
        assert said not in err
        assert len(stored(cvat)) == 14, "the other run takes its own away"


def test_undo_removes_what_a_run_wrote_and_nobody_changed(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    annotate(cvat)
    held = cvat.annotations.job(2).by_kind["shapes"]
    moved = min(held)
    held[moved] = held[moved] | {"points": [1, 1, 9, 9], "source": "semi-auto"}
    assert annotate(cvat, "--undo", "1") == 0
    assert [shape["id"] for shape in _shapes(cvat)] == [moved]
    assert "run 1: 15 annotations removed\nleft alone: 1 annotation that" in capsys.readouterr().out
    assert annotate(cvat, "--undo", "7") == 1
    assert "there is no run 7 of this task; those there are: 1" in capsys.readouterr().err


def test_a_frame_that_two_jobs_share_is_asked_about_once_and_shown_in_both(cvat: StandIn) -> None:
    prepare(cvat)
    cvat.tasks[TASK].jobs = [(1, "annotation", 0, 6), (2, "annotation", 5, 9)]
    annotate(cvat, "--frames", "5-7")
    assert sorted(asked_frames(cvat)) == [5, 6, 7]
    shapes = [(job, frame) for job, kind, frame, *_ in stored(cvat) if kind == "shapes"]
    assert shapes == [(1, 5), (1, 6), (1, 6), (2, 5), (2, 6), (2, 6), (2, 7), (2, 7)]


def test_a_function_that_knows_no_floor_is_asked_at_it(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    cvat.answers = {"": detect_without_floor}
    annotate(cvat, "--frames", "7")
    assert [shape["score"] for shape in _shapes(cvat)] == [0.9, 0.4]
    assert _journal(tmp_path).execute("SELECT count(*) FROM detections").fetchone() == (3,)


def test_another_function_than_a_detector_is_named(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(cvat)
    cvat.answers = {"": {"shapes": []}}
    assert annotate(cvat) == 1
    assert "does not answer as a detector does: is it the detector's address?" in capsys.readouterr().err


def test_a_dry_run_through_cvat_notices_that_a_function_is_no_detector(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    cvat.answers |= {"sam": {}, "dino": detect}
    cvat.kinds = {"sam": "interactor", "dino": "detector"}
    command = ["annotate", "--task", str(TASK), "--url", cvat.url, "--via-cvat", "sam", "--dry-run"]
    assert main(command) == 1
    expected = "sam is of kind interactor, not the detector that is wanted: of these CVAT lists dino\n"
    assert expected in capsys.readouterr().err


def test_a_label_that_the_function_refuses_is_no_matter_of_a_picture(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)

    def refuse(_: Any) -> Any:
        raise ValueError("label 'x': no word")

    cvat.answers = {"": refuse}
    assert annotate(cvat) == 1
    assert "/, asked for its labels: the function answered 400: label 'x': no word\n" in capsys.readouterr().err


def test_labels_of_the_function_that_the_task_lacks_are_named_and_left_out(
    cvat: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    labels = [{"name": "rust", "type": "rectangle"}, {"name": "Needs review", "type": "tag"}]
    cvat.answers = {"": lambda request: detect({"labels": labels, **request})}
    assert annotate(cvat, "--frames", "7") == 0
    said = capsys.readouterr().out
    assert (
        "left out, since the task lacks them: the function's labels 'Needs review' (there is 'needs-review')\n" in said
    )


def test_of_many_labels_that_the_task_lacks_the_first_are_named(
    cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    file = tmp_path / "labels.yaml"
    file.write_text("".join(f"- part {number}\n" for number in range(1203)))
    assert annotate(cvat, "--labels", str(file)) == 1
    said = capsys.readouterr().err
    assert "'part 0'" in said
    assert said.endswith("'part 4' and 1198 more: mend the names, or add them with --create-labels\n")


def test_labels_that_the_task_keeps_for_other_shapes_are_all_named(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prepare(cvat)
    cvat.labels["task_id", TASK] = [("rust", "polygon"), ("bolt", "skeleton")]
    file = tmp_path / "labels.yaml"
    file.write_text("- rust\n- {name: bolt, type: mask}\n")
    assert annotate(cvat, "--labels", str(file)) == 1
    assert (
        "in the task 'rust' is of type polygon, and a rectangle is answered; 'bolt' is of type skeleton, and a mask is "
        "answered: set type in labels.yaml, or the label's type in CVAT"
    ) in capsys.readouterr().err
    file.write_text("- {name: rust, type: mask}\n")
    assert annotate(cvat, "--labels", str(file)) == 1
    assert "and a mask is answered: --polygons makes masks polygons" in capsys.readouterr().err
    cvat.labels["task_id", TASK] = [("rust", "mask"), ("bolt", "mask"), ("nut", "any")]
    file.write_text("- {name: rust, type: mask}\n- {name: bolt, type: mask}\n")
    assert annotate(cvat, "--labels", str(file), "--polygons") == 1
    assert (
        "in the task 'rust', 'bolt' are of type mask, and a polygon is answered: leave --polygons out"
    ) in capsys.readouterr().err


def test_a_run_about_no_frame_is_none(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """Else --undo last would take back that one."""
    prepare(cvat)
    assert annotate(cvat) == 3
    assert annotate(cvat, "--frames", "5-7", "--skip-annotated") == 0
    assert "0 frames to ask about\n" in capsys.readouterr().out
    assert annotate(cvat, "--undo", "last") == 0
    assert "run 1: " in capsys.readouterr().out
    assert _shapes(cvat) == []


@pytest.mark.parametrize(
    "command", [("annotate", "--append", "--function", ""), ("stats", "--auth", "ann")], ids=["question", "password"]
)
def test_a_question_that_nobody_answers_is_a_sentence(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Ctrl-D."""

    def end(_: str) -> str:
        raise EOFError

    prepare(cvat)
    assert annotate(cvat) == 3
    for variable in ("PASS", "CVAT_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("builtins.input", end)
    monkeypatch.setattr("getpass.getpass", end)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    asked = [word or cvat.url for word in command]
    assert main([*asked, "--task", str(TASK), "--url", cvat.url]) == 1
    assert f"promptable {command[0]}: nobody answered" in capsys.readouterr().err


def test_through_cvat_answers_name_labels_by_number(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    attributes = [{"spec_id": 7, "value": "62"}]
    shape = {"frame": 0, "label_id": RUST, "type": "rectangle", "points": [1, 1, 5, 5], "attributes": attributes}
    cvat.answers = {"detector": {"shapes": [shape], "tags": []}}
    cvat.kinds = {"detector": "detector"}
    arguments = ["annotate", "--task", str(TASK), "--url", cvat.url, "--via-cvat", "detector", "--frames", "6"]
    assert main([*arguments, "--min-confidence", "0.5", "--queue", str(tmp_path / "queue.html")]) == 0
    assert [(shape["label_id"], shape["score"], shape["frame"]) for shape in _shapes(cvat)] == [(RUST, 0.62, 6)]
    assert cvat.bodies[0] == {"threshold": 0.5, "task": TASK, "frame": 6}
    assert not any("data?" in asked for asked in cvat.asked), "CVAT has the pictures"


def test_a_confidence_that_nobody_said_is_not_shown(
    cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    cvat.attributes = ATTRIBUTES[1:]
    shape = {"frame": 0, "label_id": RUST, "type": "rectangle", "points": [1, 1, 5, 5], "attributes": []}
    cvat.answers = {"detector": {"shapes": [shape, shape], "tags": []}}
    cvat.kinds = {"detector": "detector"}
    page = tmp_path / "queue.html"
    where = ["--task", str(TASK), "--url", cvat.url]
    command = ["annotate", *where, "--via-cvat", "detector", "--min-confidence", "0.5", "--queue", str(page)]
    assert main([*command, "--frames", "6"]) == 0
    said = capsys.readouterr().out
    assert ["rust", "2", "-", "-"] in [line.split() for line in said.splitlines()]
    assert "no confidence is known of rust: CVAT passes it on where the label has a number attribute of that" in said
    assert "<th>rust</th><td>2</td><td>-</td><td>-</td>" in page.read_text()
    assert [shape["score"] for shape in _shapes(cvat)] == [1, 1], "as CVAT has it without one"
    assert _journal(tmp_path).execute("SELECT DISTINCT score FROM detections").fetchall() == [(None,)]
    assert main(["review", *where, "--page", str(page)]) == 0
    assert "<th>rust</th><td>2</td><td>-</td><td>-</td>" in page.read_text()


def test_words_that_cvat_would_not_pass_on_are_refused(
    cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(cvat)
    cvat.answers = {"detector": {"shapes": [], "tags": []}}
    cvat.kinds = {"detector": "detector"}
    (tmp_path / "words.yaml").write_text("- rust\n")
    where = ["annotate", "--task", str(TASK), "--url", cvat.url, "--via-cvat", "detector"]
    assert main([*where, "--labels", str(tmp_path / "words.yaml"), "--dry-run"]) == 2
    assert "--labels: CVAT passes no labels on to detector (through CVAT), it answers for" in capsys.readouterr().err


def test_at_the_end_a_table_and_a_page_say_what_to_look_at(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prepare(cvat)
    annotate(cvat)
    assert ["rust", "11", "4", "0.90"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    page = (tmp_path / "state" / "review.html").read_text()
    links = re.findall(r'<a href="([^"]*)"', page)
    assert links == [f"{cvat.url}/tasks/3/jobs/{job}?frame={frame}" for job, frame in ((1, 2), (1, 3), (2, 6), (2, 7))]
    assert "<th>rust</th><td>11</td><td>4</td><td>0.90</td>" in page
    assert page.count('class="known" x=') == 1, "what was found below the threshold is drawn too"
    assert not re.findall(r'(?:src|href)="(?!http://127)', page), "nothing else is loaded"


def test_a_project_is_its_tasks_one_after_the_other(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(cvat)
    cvat.tasks[8] = Task(cvat.tasks[TASK].pictures[5:8], (40, 60), [(11, "annotation", 0, 2)])
    cvat.labels["task_id", 8] = cvat.labels["task_id", TASK]
    cvat.labels["project_id", 1] = cvat.labels["task_id", TASK]
    assert main(["annotate", "--project", "1", "--url", cvat.url, "--function", f"{cvat.url}/"]) == 3
    said = capsys.readouterr().out
    assert said.index("task 3, ") < said.index("review-task-3-run-1.html") < said.index("task 8, ")
    assert sum(kind == "shapes" for _, kind, *_ in stored(cvat)) == 11 + 5
    assert (tmp_path / "review-task-8-run-1.html").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--frames", "7-9"), "left alone: --frames 7-9 names no frame of the task, which has 0-2\n"),
        (("--replace",), "left alone: no automatic run of this task is in the journal here"),
    ],
)
def test_a_task_of_a_project_that_the_options_are_not_about_stops_no_other(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], why: str
) -> None:
    prepare(cvat)
    cvat.tasks |= {
        number: Task(cvat.tasks[TASK].pictures[5:8], (40, 60), [(job, "annotation", 0, 2)])
        for number, job in ((2, 11), (4, 12))
    }
    for of in (("task_id", 2), ("task_id", 4), ("project_id", 1)):
        cvat.labels[of] = cvat.labels["task_id", TASK]
    assert annotate(cvat, "--frames", "1") == 0
    capsys.readouterr()
    where = ["--url", cvat.url, "--function", f"{cvat.url}/", *options]
    assert main(["annotate", "--project", "1", *where, "--limit", "2"]) == 0
    said = capsys.readouterr().out
    assert said.count(why) == 2
    assert said.count("2 frames to ask about, run 2") == 1
    assert main(["annotate", "--task", "4", *where]) == 1
    assert why.removeprefix("left alone: ") in capsys.readouterr().err


def test_each_task_of_a_project_has_its_page_of_the_name_that_was_given(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    cvat.tasks[8] = Task(cvat.tasks[TASK].pictures[5:8], (40, 60), [(11, "annotation", 0, 2)])
    cvat.labels["task_id", 8] = cvat.labels["project_id", 1] = cvat.labels["task_id", TASK]
    queue = ["--queue", str(tmp_path / "night.html")]
    assert main(["annotate", "--project", "1", "--url", cvat.url, "--function", f"{cvat.url}/", *queue]) == 3
    assert "Review of task 3" in (tmp_path / "night-task-3-run-1.html").read_text()
    assert "Review of task 8" in (tmp_path / "night-task-8-run-1.html").read_text()
    assert not (tmp_path / "night.html").exists()


def test_a_later_run_has_a_page_of_its_own(cvat: StandIn, tmp_path: Path) -> None:
    prepare(cvat)
    command = ["annotate", "--task", str(TASK), "--url", cvat.url, "--function", f"{cvat.url}/"]
    assert main([*command, "--frames", "6,7"]) == 0
    first = (tmp_path / "review-task-3-run-1.html").read_text()
    assert main([*command, "--frames", "2"]) == 0
    assert (tmp_path / "review-task-3-run-1.html").read_text() == first
    assert (tmp_path / "review-task-3-run-2.html").exists()


def test_the_last_run_of_each_task_of_a_project_is_taken_back_and_a_number_refused(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Task 3 has run 2 of the project's second go, task 8 run 1; task 9 has had none, and task 10 no data."""
    monkeypatch.chdir(tmp_path)
    prepare(cvat)
    cvat.tasks |= {
        number: Task(cvat.tasks[TASK].pictures[5:8], (40, 60), [(job, "annotation", 0, 2)])
        for number, job in ((8, 11), (9, 12))
    }
    cvat.tasks[10] = Task([], (40, 60), [])
    for of in (("task_id", 8), ("task_id", 9), ("project_id", 1)):
        cvat.labels[of] = cvat.labels["task_id", TASK]
    assert annotate(cvat, "--frames", "1") == 0
    first = stored(cvat)
    server = ["--url", cvat.url, "--function", f"{cvat.url}/"]
    assert annotate(cvat, "--frames", "5-9") == 0
    assert main(["annotate", "--task", "8", *server]) == 0
    both = stored(cvat)
    capsys.readouterr()
    assert main(["annotate", "--project", "1", *server, "--undo", "1"]) == 2
    said = capsys.readouterr()
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [["3", "2"], ["3", "1"], ["8", "1"]]
    assert "run 1 is another one in each task of the project: --undo last takes back the last one" in said.err
    assert stored(cvat) == both
    assert main(["annotate", "--project", "1", *server, "--undo", "last"]) == 0
    said = capsys.readouterr()
    assert "run 2: 8 annotations removed" in said.out
    assert "task 9, pictures\nno run is left to take back\nleft alone: task 10 has no data yet" in said.out
    assert stored(cvat) == first
    assert len(list(tmp_path.rglob("task-9-*"))) == 0, "looking makes no journal"
    assert annotate(cvat, "--undo", "last") == 0
    assert stored(cvat) == []
