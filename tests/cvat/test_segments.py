"""``promptable segments``: tags of single frames become ranges, which are written and taken back."""

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from promptable.cli.main import main
from promptable.cvat.detection import Detection
from promptable.cvat.journal import JournalReader, journal_path
from promptable.cvat.segments.scores import TagScores, tag_scores
from promptable.cvat.segments.segments import Segment, TaskSegments, write_csv
from promptable.cvat.segments.viterbi import Smoothing, ranges
from promptable.cvat.server.client import Login, connect
from promptable.cvat.server.frames import Frames
from tests.cvat.journaled import JOBS, NIGHT, TASK, run, seen, tagged
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn, Task


def value(states: Sequence[int], evidence: Sequence[float], smoothing: Smoothing) -> float | None:
    """What a labelling is worth, None where a range or a gap between two is too short."""
    cuts = [0, *(i for i, (one, other) in enumerate(pairwise(states), 1) if one != other), len(states)]
    stretches = [(states[first], last - first) for first, last in pairwise(cuts)]
    inner = stretches[1:-1]
    if any(state and length < smoothing.shortest for state, length in stretches):
        return None
    if any(not state and length < smoothing.shortest_gap for state, length in inner):
        return None
    begun_or_ended = len(stretches) - 1 + states[0]  # before the first frame it is not there
    return sum(e for e, state in zip(evidence, states, strict=True) if state) - smoothing.switch * begun_or_ended


@pytest.mark.parametrize("seed", range(25))
def test_no_labelling_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = rng.normal(0, 2, 11).round(2).tolist()
    smoothing = Smoothing(int(rng.integers(1, 5)), int(rng.integers(1, 5)), float(rng.uniform(0, 3)))
    found = ranges(evidence, smoothing)
    states = [int(any(i in one for one in found)) for i in range(len(evidence))]
    values = [v for one in product((0, 1), repeat=11) if (v := value(one, evidence, smoothing)) is not None]
    assert value(states, evidence, smoothing) == pytest.approx(max(values))


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ([], []),
        ([-3] * 20, []),
        ([3] * 20, [range(20)]),
        ([3] * 4, []),
        ([-3] * 8 + [3] * 12, [range(8, 20)]),
        ([3] * 8 + [-3] * 2 + [3] * 8 + [-3] * 9, [range(18)]),  # a flicker within
        ([-3] * 9 + [3] * 2 + [-3] * 9, []),  # a flicker alone
        ([3] * 8 + [-3] * 8 + [3] * 8, [range(8), range(16, 24)]),
        ([3] * 6 + [0] * 12 + [3] * 6, [range(24)]),  # nobody asked in between
        ([2] * 5 + [math.log(0.01 / 0.99)] * 4 + [-1] * 6, [range(5)]),
    ],
)
def test_ranges_that_one_sees(evidence: list[float], expected: list[range]) -> None:
    assert ranges(evidence, Smoothing(5, 5, 4.6)) == expected


def test_evidence_is_how_far_the_score_is_from_the_threshold() -> None:
    tag = TagScores("night", 0.5, {0: 0.5, 1: 0.75, 2: None, 4: 1.0}, {2: 0.05})
    low = math.log(0.05 / 0.95)
    assert tag.evidence(range(5)) == pytest.approx([0, math.log(3), low, 0, math.log(99)])


@pytest.mark.parametrize(("function", "unseen"), [("f", 0.05), ("grounding-dino (through CVAT)", 0.25)])
def test_a_tag_without_a_score_is_no_certain_one(cvat: StandIn, function: str, unseen: float) -> None:
    """It may have been just above the threshold: through CVAT frames with and without it weigh the same."""
    unscored = Detection("night", "tag", None)
    run(cvat, {0: [unscored], 1: [], 2: [unscored, tagged(0.9)]}, function=function, thresholds={"night": 0.5})
    with closing(JournalReader(journal_path(cvat.url, TASK, "2026-01-02 03:04:05+00:00"))) as journal:
        (tag,) = tag_scores(journal)
    assert (tag.scores, tag.chances[0], tag.chances[1]) == ({0: None, 1: None, 2: 0.9}, 0.75, unseen)
    assert tag.evidence([0])[0] == pytest.approx(math.log(3))


def test_a_range_without_scores_has_no_mean_score(
    cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.tasks = {TASK: Task([b""] * 100, (100, 200), JOBS, video=True)}
    cvat.labels = {("task_id", TASK): [("rust", "any"), ("crack", "any"), ("night", "tag")]}
    unscored = Detection("night", "tag", None)
    found = {frame: [unscored] if frame in range(20, 40) else [] for frame in range(100)}
    run(cvat, found, function="f (through CVAT)")
    segments(cvat, "--write")
    (row,) = csv.DictReader((tmp_path / "segments.csv").open())
    assert (row["first_frame"], row["last_frame"], row["mean_score"]) == ("20", "39", "")
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "-"


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def scored(scores: Mapping[int, float]) -> dict[int, list[Detection]]:
    return {frame: [tagged(scores[frame])] if frame in scores else [] for frame in range(100)}


@pytest.fixture
def person(cvat: StandIn) -> Person:
    """Before a run that has seen night on frames 40 to 69, but for 44, 45 and 60, and on frame 10."""
    cvat.tasks = {TASK: Task([b""] * 100, (100, 200), JOBS, video=True)}
    cvat.labels = {("task_id", TASK): [("rust", "any"), ("crack", "any"), ("night", "tag")]}
    seen = {frame: 0.8 for frame in range(40, 70) if frame not in (44, 45, 60)} | {10: 0.35, 60: 0.2}
    run(cvat, scored(seen))
    return Person(cvat, TASK)


def segments(cvat: StandIn, *options: str, status: int = 0) -> None:
    source = () if {"--job", "--project"} & set(options) else ("--task", str(TASK))
    assert main(["segments", *source, "--url", cvat.url, *options]) == status


def tags(cvat: StandIn, job: int) -> list[int]:
    """The frames that are tagged as night."""
    return sorted(tag["frame"] for tag in cvat.annotations.read(job)["tags"] if tag["label_id"] == NIGHT)


def test_the_file(person: Person, tmp_path: Path) -> None:
    before = person.cvat.annotations.all()
    segments(person.cvat, "--fps", "25")
    rows = list(csv.DictReader((tmp_path / "segments.csv").open()))
    assert rows == [
        {
            "task": "3",
            "label": "night",
            "first_frame": "40",
            "last_frame": "69",
            "start_s": "1.600",
            "end_s": "2.800",
            "frames": "30",
            "mean_score": f"{(27 * 0.8 + 0.2) / 28:.4f}",
        }
    ]
    segments(person.cvat)
    assert [row["start_s"] for row in csv.DictReader((tmp_path / "segments.csv").open())] == [""]
    assert person.cvat.annotations.all() == before


@pytest.mark.parametrize(
    ("name", "cell"), [("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("@a", "'@a"), ("a=b", "a=b")]
)
def test_a_labels_name_is_no_formula(cvat: StandIn, tmp_path: Path, name: str, cell: str) -> None:
    cvat.tasks = {TASK: Task([b""] * 100, (100, 200), JOBS, video=True)}
    with connect(Login(cvat.url)) as client:
        found = TaskSegments(Frames(client, task=TASK), [name], [Segment(name, range(3), None)])
        write_csv(tmp_path / "segments.csv", [found], None)
    (row,) = csv.DictReader((tmp_path / "segments.csv").open())
    assert row["label"] == cell


def test_times_are_those_of_the_video_the_task_was_cut_from(person: Person, tmp_path: Path) -> None:
    person.cvat.tasks[TASK].meta.update(start_frame=100, frame_filter="step=5")
    segments(person.cvat, "--fps", "10")
    (row,) = csv.DictReader((tmp_path / "segments.csv").open())
    assert (row["start_s"], row["end_s"]) == ("30.000", "45.000")  # frames 300 to 449 of the video


def test_written_tags_are_those_of_the_ranges_and_once(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    cvat = person.cvat
    segments(cvat, "--write")
    assert "run 2: 3 tags added, 1 taken away" in capsys.readouterr().out
    assert (tags(cvat, 1), tags(cvat, 2)) == (list(range(40, 50)), list(range(50, 70)))
    sources = {tag["source"] for job in (1, 2) for tag in cvat.annotations.read(job)["tags"]}
    assert sources == {"auto"}
    before = cvat.annotations.all()
    segments(cvat, "--write")
    assert "the tags in CVAT are those of the ranges" in capsys.readouterr().out
    assert cvat.annotations.all() == before


def test_undo_puts_back_what_was_there(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    cvat = person.cvat
    before = {job: {tag["id"]: tag for tag in cvat.annotations.read(job)["tags"]} for job in (1, 2)}
    segments(cvat, "--write")
    segments(cvat, "--undo", "2")
    assert "run 2: 3 tags taken away, 1 put back" in capsys.readouterr().out
    assert {job: {tag["id"]: tag for tag in cvat.annotations.read(job)["tags"]} for job in (1, 2)} == before
    segments(cvat, "--write")
    assert tags(cvat, 1) == list(range(40, 50)), "what was put back is still known as automatic"
    segments(cvat, "--undo", "1", status=1)
    assert "run 1 is one of promptable annotate" in capsys.readouterr().err


def test_people_win(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    cvat = person.cvat
    person.tag(20, NIGHT)  # a person says so, whatever the scores
    person.delete(person.shapes(41, "tags")[0], "tags")
    person.complete(2)
    segments(cvat, "--write")
    said = capsys.readouterr().out
    assert "left alone: job 2 is completed" in said
    assert "left alone: 1 frame whose tag people have taken away" in said
    assert tags(cvat, 1) == [20, 40, *range(42, 50)]
    assert tags(cvat, 2) == [frame for frame in range(50, 70) if frame != 60]


def test_an_answer_that_was_lost_is_looked_for(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    cvat = person.cvat
    cvat.lost_answers = 10
    segments(cvat, "--write", status=1)
    cvat.lost_answers = 0
    segments(cvat, "--write")
    assert (tags(cvat, 1), tags(cvat, 2)) == (list(range(40, 50)), list(range(50, 70)))


def test_deleted_frames_are_no_part_of_a_range(person: Person, tmp_path: Path) -> None:
    cvat = person.cvat
    task = cvat.tasks[TASK]
    cvat.tasks[TASK] = Task(task.pictures, task.hw, task.jobs, deleted=[50, 51], video=True)
    segments(cvat, "--write")
    (row,) = csv.DictReader((tmp_path / "segments.csv").open())
    assert (row["first_frame"], row["last_frame"], row["frames"]) == ("40", "69", "28")


def test_a_job_alone(person: Person, tmp_path: Path) -> None:
    segments(person.cvat, "--job", "2", "--write")
    (row,) = csv.DictReader((tmp_path / "segments.csv").open())
    assert (row["first_frame"], row["last_frame"]) == ("50", "69")
    assert 44 not in tags(person.cvat, 1)


def test_a_job_alone_has_its_part_of_a_range_that_begins_before_it(person: Person, tmp_path: Path) -> None:
    """Four frames of it would be no range of their own."""
    run(person.cvat, scored(dict.fromkeys(range(20, 54), 0.8)))
    segments(person.cvat, "--write")
    assert {*tags(person.cvat, 2)} == {50, 51, 52, 53}
    segments(person.cvat, "--job", "2", "--write")
    assert {*tags(person.cvat, 2)} == {50, 51, 52, 53}
    (row,) = csv.DictReader((tmp_path / "segments.csv").open())
    assert (row["first_frame"], row["last_frame"], row["frames"]) == ("50", "53", "4")


def test_a_label_that_is_gone_is_named(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    person.cvat.labels["task_id", TASK][2] = ("dark", "tag")
    segments(person.cvat, "--write")
    assert "left alone: the task has no label 'night' any more\n" in capsys.readouterr().out


def test_a_task_without_tags_says_what_to_do(
    person: Person, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    segments(person.cvat, status=1)
    assert "no run of this task is in the journal here" in capsys.readouterr().err
    run(person.cvat, {0: [seen(0.9)]}, tags=())
    segments(person.cvat, status=1)
    assert "type: tag, prompts: [dark street]" in capsys.readouterr().err


@pytest.mark.parametrize("video", [True, False])
def test_only_a_video_is_asked_for_its_frame_rate(
    person: Person, capsys: pytest.CaptureFixture[str], video: bool
) -> None:
    person.cvat.tasks[TASK] = replace(person.cvat.tasks[TASK], video=video)
    segments(person.cvat)
    assert ("--fps" in capsys.readouterr().out) == video


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "inf", "many"])
def test_a_frame_rate_that_is_none(person: Person, capsys: pytest.CaptureFixture[str], fps: str) -> None:
    with pytest.raises(SystemExit):
        segments(person.cvat, f"--fps={fps}")
    assert f"got '{fps}'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["consensus_replica", "replica"])
def test_a_replica_is_somebody_elses_own_opinion(person: Person, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """CVAT 2.80 has another name for it."""
    person.cvat.tasks[TASK].jobs = [*JOBS, (3, kind, 0, 49)]
    segments(person.cvat, "--write")
    assert tags(person.cvat, 3) == []
    assert "left alone: job 3 is a replica of another job" in capsys.readouterr().out


def test_a_project_is_one_file_and_each_task_for_itself(
    person: Person, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Task 5 shows night all the time, task 6 has been looked at without tags, task 8 not at all."""
    cvat = person.cvat
    labels = cvat.labels["project_id", 1] = cvat.labels["task_id", TASK]
    cvat.tasks |= {
        number: Task([b""] * 20, (100, 200), [(10 + number, "annotation", 0, 19)], video=True) for number in (5, 6, 8)
    }
    cvat.labels |= {("task_id", number): labels for number in (5, 6, 8)}
    run(cvat, {frame: [tagged(0.8)] for frame in range(20)}, task=5, jobs=[(15, "annotation", 0, 19)])
    run(cvat, {0: [seen(0.9)]}, tags=(), task=6, jobs=[(16, "annotation", 0, 19)])
    untagged = cvat.annotations.all()
    segments(cvat, "--project", "1", "--write")
    said = capsys.readouterr().out
    rows = [
        (row["task"], row["first_frame"], row["last_frame"])
        for row in csv.DictReader((tmp_path / "segments.csv").open())
    ]
    assert rows == [("3", "40", "69"), ("5", "0", "19")]
    assert "left alone: in task 6 no run has looked for a label of type tag" in said
    assert "left alone: task 8 has no journal here" in said
    said = said[said.index("task 3, pictures") :]
    assert said.splitlines()[1::2] == ["run 2: 3 tags added, 1 taken away", "the tags in CVAT are those of the ranges"]
    segments(cvat, "--project", "1", "--undo", "2", status=2)
    assert "run 2 is another one in each task of the project" in capsys.readouterr().err
    segments(cvat, "--project", "1", "--undo", "last")
    assert "task 3, pictures\nrun 2: 3 tags taken away, 1 put back\n" in capsys.readouterr().out
    again = cvat.annotations.all()
    assert {job: tags(cvat, job) for job in again} == {
        job: sorted(tag["frame"] for tag in held["tags"]) for job, held in untagged.items()
    }
    assert len(list(tmp_path.rglob("task-8-*"))) == 0, "looking makes no journal"


def test_undo_leaves_jobs_that_people_have_handed_in(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    cvat = person.cvat
    before = tags(cvat, 1)
    segments(cvat, "--write")
    written = tags(cvat, 2)
    person.complete(2)
    segments(cvat, "--undo", "2")
    assert (tags(cvat, 1), tags(cvat, 2)) == (before, written)
    said = capsys.readouterr().out
    assert "1 job that people have handed in (2), with what the run wrote there: set it back to 'in progress'" in said
