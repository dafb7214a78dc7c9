"""``promptable review``: which frames people are shown first, and how they get them in CVAT."""

import re
import weakref
from pathlib import Path
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.cvat.detection import Detection
from promptable.cvat.journal import writable
from promptable.cvat.review.queue import Doubt, QueuedFrame, choose, spacing
from promptable.cvat.server.annotations import JobAnnotations
from tests.cvat import propagating
from tests.cvat.chromium import needs_chromium, run_in_page
from tests.cvat.journaled import BOX, JOBS, NAMES, RUST, TASK, run, seen
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn, Task

ANN = {"url": "http://cvat/api/users/2", "id": 2, "username": "ann", "first_name": "", "last_name": ""}
BOB = {"url": "http://cvat/api/users/3", "id": 3, "username": "bob", "first_name": "", "last_name": ""}


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def person(cvat: StandIn) -> Person:
    """Before a task of 100 frames."""
    cvat.tasks = {TASK: Task([b""] * 100, (100, 200), JOBS)}
    cvat.labels = {("task_id", TASK): [(name, "any") for name in NAMES]}
    cvat.users = [ANN, BOB]
    return Person(cvat, TASK)


def review(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], folder: Path, *options: str
) -> list[tuple[int, int, str]]:
    """Job, frame and reason of what the table shows, in its order."""
    source = () if {"--job", "--project"} & set(options) else ("--task", str(TASK))
    page = ["--page", str(folder / "review.html")]
    assert main(["review", *source, "--url", cvat.url, *page, *options]) == 0
    rows = re.findall(r"^ (.*?)  +\d+ +http.*/jobs/(\d+)\?frame=(\d+) *$", capsys.readouterr().out, re.MULTILINE)
    return [(int(job), int(frame), re.sub(" {2,}", ": ", said.strip())) for said, job, frame in rows]


def test_the_nearer_to_its_threshold_the_earlier(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = {0: [seen(0.44)], 10: [seen(0.36)], 20: [seen(0.33)], 30: [seen(0.9)], 40: [seen(0.24)], 60: [seen(0.38)]}
    run(person.cvat, found)
    assert review(person.cvat, capsys, tmp_path) == [
        (1, 10, "rust: score 0.36, threshold 0.35"),
        (1, 20, "rust: missing? score 0.33, threshold 0.35"),
        (2, 60, "rust: score 0.38, threshold 0.35"),
        (1, 0, "rust: score 0.44, threshold 0.35"),
    ], "0.9 is sure, and 0.24 is farther below the threshold than 0.45 is above it"
    assert len(review(person.cvat, capsys, tmp_path, "--review-below", "0.47")) == 5


def test_scores_have_two_decimals_and_do_not_read_as_if_they_reached_a_threshold(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(person.cvat, {0: [seen(0.3499)], 10: [seen(0.3517)], 20: [seen(0.4)]})
    assert review(person.cvat, capsys, tmp_path) == [
        (1, 0, "rust: missing? score 0.34, threshold 0.35"),
        (1, 10, "rust: score 0.35, threshold 0.35"),
        (1, 20, "rust: score 0.40, threshold 0.35"),
    ]


def test_doubt_reaches_around_thresholds_above_where_it_begins(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(person.cvat, {0: [seen(0.41)], 10: [seen(0.46)], 20: [seen(0.26)]})
    assert review(person.cvat, capsys, tmp_path, "--review-below", "0.2") == [
        (1, 0, "rust: score 0.41, threshold 0.35"),
        (1, 20, "rust: missing? score 0.26, threshold 0.35"),
    ], "0.06 and 0.09 of 0.1"


def test_other_doubts(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(
        person.cvat,
        {
            0: [seen(0.62), seen(0.58, "crack", [10, 10, 30, 29])],
            10: [seen(0.62), seen(0.58, "crack", [50, 50, 70, 70])],  # somewhere else
            20: [seen(0.8, attributes={"review": "true"})],
            30: [Detection("night", "tag", 0.29, chosen=False)],
            40: [seen(0.9, attributes={"mask_score": "0.63"})],
            60: [seen(0.9, attributes={"mask_score": "0.7"})],
        },
    )
    assert review(person.cvat, capsys, tmp_path) == [
        (1, 20, "rust: no mask was found: its box is filled"),
        (1, 30, "night: missing? score 0.29, threshold 0.30"),
        (1, 0, "rust: or crack? scores 0.62 and 0.58"),
        (1, 40, "rust: the mask's score is 0.63"),
    ]


def test_a_word_that_mostly_agrees_and_here_does_not(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def agreed(synonym: float, label: str = "rust") -> Detection:
        return seen(0.8, label, attributes={"synonym_score": str(synonym)})

    found = {0: [agreed(0.6)], 10: [agreed(0.41)], 20: [agreed(0.36)], 30: [agreed(0.7)], 40: [agreed(0.04)]}
    run(person.cvat, found | {60: [agreed(0.1, "crack")], 70: [agreed(0.1, "crack")], 80: [agreed(0.4, "crack")]})
    assert review(person.cvat, capsys, tmp_path) == [
        (1, 40, "rust: only one of its words: score 0.80, the next word's 0.04"),
        (1, 20, "rust: only one of its words: score 0.80, the next word's 0.36"),
    ], "less than half, though above the threshold; the words of crack agree on one of three"


def test_what_people_have_dealt_with_is_left_out(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    weak, missing = [seen(0.36)], [seen(0.34)]
    run(person.cvat, {0: weak, 10: weak, 20: weak, 30: missing, 40: missing, 60: weak})
    person.drag(person.shapes(0)[0], [11, 10, 30, 30])
    person.delete(person.shapes(10)[0])
    person.add(30, RUST, [11, 11, 30, 30])
    person.complete(2)
    assert {frame for _, frame, _ in review(person.cvat, capsys, tmp_path)} == {20, 40}
    assert "left out: 3 dealt with" in (tmp_path / "review.html").read_text()
    assert {frame for _, frame, _ in review(person.cvat, capsys, tmp_path, "--include", "completed")} == {20, 40, 60}


def test_the_last_run_that_was_asked_about_a_frame_counts(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(person.cvat, {0: [seen(0.36)], 10: [seen(0.37)]})
    run(person.cvat, {0: [seen(0.9)]})
    assert [frame for _, frame, _ in review(person.cvat, capsys, tmp_path)] == [10]


def test_not_fifty_neighbours_of_one_clip(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    clip = {frame: [seen(0.36 + frame / 10000)] for frame in range(20, 40)}
    run(person.cvat, clip | {90: [seen(0.44)]})
    frames = [frame for _, frame, _ in review(person.cvat, capsys, tmp_path, "--budget", "10")]
    assert frames == [20, 25, 30, 35, 90], "100 / (2 * 10) frames apart"
    assert "left out: 16 close to one of these" in (tmp_path / "review.html").read_text()


def test_the_budget_is_filled_however_much_was_dealt_with(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Forty candidates are kept for each frame of the budget, and people have dealt with all of these."""
    run(person.cvat, {frame: [seen(0.35 + frame / 1100)] for frame in range(100)})
    for job in (1, 2):
        held = person.cvat.annotations.read(job)["shapes"]
        person.cvat.annotations.patch(job, "delete", {"shapes": [one for one in held if one["frame"] < 90]})
    assert [frame for _, frame, _ in review(person.cvat, capsys, tmp_path, "--budget", "2")] == [90]
    said = (tmp_path / "review.html").read_text()
    assert "Nothing to look at" not in said


def test_the_table_of_labels_is_of_the_jobs_and_of_the_last_runs(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for _ in range(2):
        run(person.cvat, {0: [seen(0.36)], 10: [seen(0.37)], 60: [seen(0.38)]})
    review(person.cvat, capsys, tmp_path)
    cells = re.compile(r"<tr><th>rust</th><td>(\d+)</td><td>(\d+)</td>")
    assert cells.findall((tmp_path / "review.html").read_text()) == [("3", "3")]
    review(person.cvat, capsys, tmp_path, "--job", "2")
    assert cells.findall((tmp_path / "review.html").read_text()) == [("1", "1")]


def test_choosing() -> None:
    def queued(frame: int, sure: float, task: int = 1) -> QueuedFrame:
        return QueuedFrame(task, 1, frame, [Doubt("a", "b", sure)])

    frames = [queued(5, 0.3), queued(6, 0.1), queued(7, 0.2), queued(9, 0.4), queued(6, 0.5, task=2)]
    queue = choose(frames, 3, apart=3)
    assert [(one.task, one.frame) for one in queue.frames] == [(1, 6), (1, 9), (2, 6)]
    assert (queue.doubtful, queue.near, queue.settled, queue.surer) == (5, 2, 0, 0)
    assert [one.frame for one in choose(frames, 2, still=lambda one: None if one.frame == 6 else one).frames] == [7, 5]
    assert (spacing(1000, 50), spacing(20, 50)) == (10, 0)


def test_a_frame_whose_worst_is_dealt_with_moves_back() -> None:
    def without_first(one: QueuedFrame) -> QueuedFrame:
        return QueuedFrame(one.task, one.job, one.frame, one.doubts[1:] or one.doubts)

    frames = [
        QueuedFrame(1, 1, 0, [Doubt("a", "b", 0.1), Doubt("a", "b", 0.9)]),
        QueuedFrame(1, 1, 9, [Doubt("a", "b", 0.5)]),
    ]
    assert [one.frame for one in choose(frames, 2, still=without_first).frames] == [9, 0]


@pytest.mark.parametrize("kind", ["consensus_replica", "replica"])
def test_a_replica_is_not_shown_in_place_of_its_job(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    """CVAT 2.80 has another name for it."""
    person.cvat.tasks[TASK].jobs = [*JOBS, (3, kind, 0, 49)]
    run(person.cvat, {10: [seen(0.34)], 60: [seen(0.34)]})
    person.complete(1)
    assert [(job, frame) for job, frame, _ in review(person.cvat, capsys, tmp_path)] == [(2, 60)]


def test_of_tracks_of_a_label_that_is_gone_nothing_is_said(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    propagating.prepare(cvat)
    propagating.draw(cvat, [10, 60, 30, 80], label_id=propagating.BIKE)
    assert propagating.propagate(cvat, "--page", str(tmp_path / "tracks.html")) == 0
    del cvat.labels["task_id", propagating.TASK][propagating.BIKE]
    capsys.readouterr()
    task = str(propagating.TASK)
    assert main(["review", "--task", task, "--url", cvat.url, "--page", str(tmp_path / "review.html")]) == 0
    assert "0 frames to look at" in capsys.readouterr().out


def test_lost_tracks_come_from_the_journal_too_which_is_only_read(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    propagating.prepare(cvat)
    propagating.draw(cvat, [10, 60, 30, 80])
    assert propagating.propagate(cvat, "--page", str(tmp_path / "tracks.html")) == 0
    capsys.readouterr()
    monkeypatch.setattr(writable, "open_to_write", None)
    task = str(propagating.TASK)
    assert main(["review", "--task", task, "--url", cvat.url, "--page", str(tmp_path / "review.html")]) == 0
    page = (tmp_path / "review.html").read_text()
    assert re.findall(r"frame=(\d+).*<td>car</td><td>(\w+)</td>", page) == [("5", "lost"), ("8", "back")]


def test_without_a_journal_by_the_scores_and_said_so(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    person.add(10, RUST, BOX, source="auto", score=0.4)
    person.add(10, RUST, BOX, source="auto", score=0.2)
    person.add(60, RUST, BOX, source="auto", score=0.3)
    person.add(70, RUST, BOX, source="auto", score=0.6)
    person.add(80, RUST, BOX, score=0.1)  # a person's
    assert review(person.cvat, capsys, tmp_path) == [(1, 10, "rust: score 0.20"), (2, 60, "rust: score 0.30")]
    page = (tmp_path / "review.html").read_text()
    assert "no journal of this task is here" in page
    assert "<th>rust</th><td>4</td><td>3</td><td>0.30</td>" in page


def test_cvats_own_runs_keep_no_scores(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    person.add(10, RUST, BOX, source="auto")
    main(["review", "--task", str(TASK), "--url", person.cvat.url, "--page", str(tmp_path / "review.html")])
    assert "no automatic shape has a score" in capsys.readouterr().out


def test_issues_are_opened_once(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(person.cvat, {0: [seen(0.36)], 60: [Detection("night", "tag", 0.29, chosen=False)]})
    review(person.cvat, capsys, tmp_path, "--issues")
    assert [(one["job"], one["frame"], one["position"], one["message"]) for one in person.cvat.issues] == [
        (2, 60, [0, 0, 200, 100], "night: missing? score 0.29, threshold 0.30"),
        (1, 0, BOX, "rust: score 0.36, threshold 0.35"),
    ]
    review(person.cvat, capsys, tmp_path, "--issues")
    assert len(person.cvat.issues) == 2


def test_an_issue_is_known_again_however_its_numbers_are_written(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(person.cvat, {0: [seen(0.36)]})
    review(person.cvat, capsys, tmp_path, "--issues")
    (there,) = person.cvat.issues
    for message, position, opened in (
        ("rust: score 0.357, threshold 0.4", BOX, 1),
        ("rust: missing? score 0.36, threshold 0.35", BOX, 2),
        ("rust: score 0.36, threshold 0.35", [0, 0, 9, 9], 2),
    ):
        person.cvat.issues[:] = [there | {"message": message, "position": position}]
        review(person.cvat, capsys, tmp_path, "--issues")
        assert len(person.cvat.issues) == opened, (message, position)


def test_jobs_go_to_a_reviewer(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cvat = person.cvat
    run(cvat, {0: [seen(0.36)], 60: [seen(0.36)]})
    cvat.tasks[TASK].fields[2] = {"assignee": BOB, "state": "in progress"}
    main(["review", "--task", str(TASK), "--url", cvat.url, "--page", str(tmp_path / "p.html"), "--assign", "ann"])
    said = capsys.readouterr().out
    assert "left alone: job 2, which bob is at work on\n1 job for ann to review\n" in said
    assert cvat.tasks[TASK].fields[1] == {"assignee": ANN, "stage": "validation", "state": "in progress"}
    asked = len(cvat.asked)
    review(cvat, capsys, tmp_path, "--assign", "ann")
    assert not any(request.startswith("PATCH") for request in cvat.asked[asked:]), "ann has it already"


def _undo(cvat: StandIn, *options: str) -> int:
    return main(["review", "--task", str(TASK), "--url", cvat.url, *options])


def test_what_a_reviewer_was_given_is_taken_back(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cvat = person.cvat
    run(cvat, {0: [seen(0.36)], 10: [seen(0.37)], 60: [seen(0.38)]})
    cvat.tasks[TASK].fields[1] = {"assignee": BOB, "state": "new", "stage": "annotation"}
    theirs = {"id": 77, "job": 1, "frame": 4, "message": "rust?", "resolved": False, "assignee": None}
    cvat.issues.append(theirs)
    review(cvat, capsys, tmp_path, "--issues", "--assign", "ann")
    assert len(cvat.issues) == 4
    answered = cvat.issues[1] | {"answers": ["it is rust"]}
    cvat.issues[1] = answered
    assert _undo(cvat, "--undo", "last") == 0
    assert cvat.issues == [theirs, answered]
    assert [cvat.get(f"/api/jobs/{job}", {})[1]["stage"] for job in (1, 2)] == ["annotation", "annotation"]  # type: ignore[index]
    assert cvat.tasks[TASK].fields[1] == {"assignee": BOB, "state": "new", "stage": "annotation"}
    assert capsys.readouterr().out.splitlines() == [
        "run 2 is taken back",
        "2 issues withdrawn",
        "left alone: 1 issue of it that people have resolved, taken or answered",
        "2 jobs given back",
    ]
    assert _undo(cvat, "--undo", "last") == 0
    assert "no run is left to take back\n" in capsys.readouterr().out


def test_a_job_that_was_moved_on_is_not_given_back(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cvat = person.cvat
    run(cvat, {0: [seen(0.36)], 60: [seen(0.38)]})
    review(cvat, capsys, tmp_path, "--issues", "--assign", "ann")
    cvat.tasks[TASK].fields[1] = {**cvat.tasks[TASK].fields[1], "state": "completed"}
    assert _undo(cvat, "--undo", "2") == 0
    assert cvat.tasks[TASK].fields[1]["assignee"] == ANN
    assert [one["job"] for one in cvat.issues] == [1]
    said = capsys.readouterr().out
    assert "left alone: 1 job that people have handed in (1), with what the run wrote there: --undo 2 --include" in said
    assert "1 job given back\nleft alone: 1 job that people have moved on since\n" in said
    assert _undo(cvat, "--undo", "2", "--include", "completed") == 0
    assert not cvat.issues


def test_taken_back_twice_the_jobs_of_a_later_run_stay(person: Person, tmp_path: Path) -> None:
    cvat, page = person.cvat, ("--page", str(tmp_path / "p.html"))
    run(cvat, {0: [seen(0.36)]})
    for options in (("--assign", "ann"), ("--undo", "2"), ("--assign", "ann"), ("--undo", "2")):
        assert _undo(cvat, *options, *(() if "--undo" in options else page)) == 0
    assert cvat.tasks[TASK].fields[1]["assignee"] == ANN


def test_an_issue_of_which_the_answer_was_lost_is_taken_back_too(person: Person, tmp_path: Path) -> None:
    cvat = person.cvat
    run(cvat, {0: [seen(0.36)], 60: [seen(0.38)]})
    cvat.lost_issues = 1
    page = ("--page", str(tmp_path / "p.html"))
    assert _undo(cvat, "--issues", *page) == 1
    assert len(cvat.issues) == 1
    assert _undo(cvat, "--issues", *page) == 0
    assert len(cvat.issues) == 2
    assert _undo(cvat, "--undo", "last") == 0
    assert len(cvat.issues) == 1
    assert _undo(cvat, "--undo", "last") == 0
    assert not cvat.issues


def test_taking_back_does_no_more(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    run(person.cvat, {0: [seen(0.36)]})
    assert _undo(person.cvat, "--undo", "last", "--issues") == 2
    assert "leave out --issues and --assign" in capsys.readouterr().err
    assert _undo(person.cvat, "--undo", "1") == 1
    assert "run 1 is one of promptable annotate: give its number to that" in capsys.readouterr().err


def test_a_user_there_is_not(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["review", "--task", str(TASK), "--url", person.cvat.url, "--assign", "an"]) == 1
    assert "no user 'an' whom this account may see; there is ann" in capsys.readouterr().err


def test_a_project_shares_the_budget(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cvat = person.cvat
    cvat.tasks[8] = Task([b""] * 4, (100, 200), [(11, "annotation", 0, 3)])
    cvat.labels["task_id", 8] = cvat.labels["project_id", 1] = cvat.labels["task_id", TASK]
    run(cvat, {0: [seen(0.38)], 60: [seen(0.44)]})
    shape = {"type": "rectangle", "points": BOX, "frame": 1, "label_id": RUST, "source": "auto", "score": 0.225}
    cvat.annotations.patch(11, "create", {"shapes": [shape]})
    queue = review(cvat, capsys, tmp_path, "--project", "1", "--budget", "2")
    assert queue == [(1, 0, "rust: score 0.38, threshold 0.35"), (11, 1, "rust: score 0.22")], "0.3 and 0.5 sure"


@needs_chromium
def test_a_label_with_two_spaces_can_be_chosen(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(person.cvat, {0: [seen(0.36)]})
    review(person.cvat, capsys, tmp_path)
    page = (tmp_path / "review.html").read_text().replace("rust", "side  mirror")
    code = """
      const choice = document.querySelector("select.filter");
      choice.value = choice.options[1].value;
      choice.dispatchEvent(new Event("change"));
      return document.querySelectorAll("[data-names]:not([hidden])").length;
    """
    assert run_in_page(page, code, tmp_path) == 1


def test_a_label_is_no_markup(person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    person.cvat.labels["task_id", TASK][0] = ("<script>alert(1)</script>", "any")
    person.add(10, RUST, BOX, source="auto", score=0.4)
    assert review(person.cvat, capsys, tmp_path) == [(1, 10, "<script>alert(1)</script>: score 0.40")]
    page = (tmp_path / "review.html").read_text()
    assert "<script>alert" not in page
    assert f"<title>Review of task {TASK}, pictures</title>" in page


def test_each_job_is_read_once_and_none_is_kept(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten jobs of ten shapes each, whose frames take turns in the queue: how many are in memory at every reading."""

    class Shape(dict[str, Any]):
        """One that can be counted."""

    person.cvat.tasks[TASK].jobs = jobs = [(i + 1, "annotation", 10 * i, 10 * i + 9) for i in range(10)]
    run(person.cvat, {frame: [seen(0.36 + frame % 10 / 1000)] for frame in range(100)}, jobs=jobs)
    known: list[weakref.ref[Shape]] = []
    alive: list[int] = []
    read = JobAnnotations.read

    def counted(self: JobAnnotations) -> Any:
        alive.append(sum(one() is not None for one in known))
        held = read(self)
        shapes = [Shape(one) for one in held["shapes"]]
        known.extend(map(weakref.ref, shapes))
        return {**held, "shapes": shapes}

    monkeypatch.setattr(JobAnnotations, "read", counted)
    assert len(review(person.cvat, capsys, tmp_path)) == 50
    assert alive == [0] * 10


def test_a_run_over_the_ground_truth_says_nothing_of_the_annotators_jobs(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    truth = (5, "ground_truth", 0, 99)
    person.cvat.tasks[TASK] = Task([b""] * 100, (100, 200), [*JOBS, truth], validation=[3])
    run(person.cvat, {3: [seen(0.4)], 9: [seen(0.41)]})
    run(person.cvat, {3: [seen(0.4)]}, jobs=[truth])
    assert [place[:2] for place in review(person.cvat, capsys, tmp_path)] == [(1, 3), (1, 9)]


def test_a_frame_of_two_jobs_is_looked_at_in_the_one_that_a_run_was_about(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    jobs = [(1, "annotation", 0, 54), (2, "annotation", 50, 99)]
    person.cvat.tasks[TASK] = Task([b""] * 100, (100, 200), jobs)
    run(person.cvat, {52: [seen(0.4)]}, jobs=jobs[1:])
    assert [place[:2] for place in review(person.cvat, capsys, tmp_path)] == [(2, 52)]


def test_a_later_run_over_the_next_job_leaves_what_is_doubtful_in_this_one(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    jobs = [(1, "annotation", 0, 54), (2, "annotation", 50, 99)]
    person.cvat.tasks[TASK] = Task([b""] * 100, (100, 200), jobs)
    run(person.cvat, {52: [seen(0.4)]}, jobs=jobs[:1])
    run(person.cvat, {52: [seen(0.9)]}, jobs=jobs[1:])
    assert [place[:2] for place in review(person.cvat, capsys, tmp_path)] == [(1, 52)]
