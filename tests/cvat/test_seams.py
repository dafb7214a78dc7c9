"""Frames that two jobs show: CVAT exports equal masks of the two twice, so that one of them alone gets a mask."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from promptable.cli.main import main
from promptable.cvat.annotate import detector
from tests.cvat.annotating import TASK, annotate, detect_without_floor, prepare
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn

FIRST, SECOND, SEAM = 1, 2, {5, 6}


def _masks(request: Mapping[str, Any]) -> Any:
    """What boxes would be found, as masks: 6 x 3 pixels each."""
    found = detect_without_floor(request)
    lefts = [(item, int(item["points"][0])) for item in found]
    return [item | {"type": "mask", "points": [0, 18, left, 30, left + 5, 32]} for item, left in lefts]


@pytest.fixture
def words(cvat: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Two jobs that share frames 5 and 6, a detector of masks, and the options that ask for them."""
    monkeypatch.setattr(detector, "PAUSES", ())
    prepare(cvat)
    cvat.tasks[TASK].jobs = [(FIRST, "annotation", 0, 6), (SECOND, "annotation", 5, 9)]
    cvat.labels["task_id", TASK] = [("rust", "any"), ("needs-review", "tag")]
    cvat.answers = {"": _masks}
    labels = tmp_path / "labels.yaml"
    labels.write_text("- {name: rust, type: mask}\n")
    return ["--labels", str(labels), "--frames", "5-7"]


def _frames(cvat: StandIn, kind: str = "shapes") -> list[tuple[int, int]]:
    """Job and frame of each shape, or tag."""
    return sorted((job, one["frame"]) for job, held in cvat.annotations.all().items() for one in held[kind])


WRITTEN = [(FIRST, 5), (FIRST, 6), (FIRST, 6), (SECOND, 7), (SECOND, 7)]


def test_the_first_of_two_jobs_has_the_masks_and_both_have_the_tags(
    cvat: StandIn, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert annotate(cvat, *words) == 0
    assert _frames(cvat) == WRITTEN
    assert _frames(cvat, "tags") == [(FIRST, 6), (SECOND, 6), (SECOND, 7)]
    said = "left alone: masks on frames 5-6 of job 2, since the job beside it has them, and CVAT would export"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("how", ["handed in", "annotated by people"])
def test_the_second_job_has_the_masks_where_the_first_became_peoples_meanwhile(
    cvat: StandIn, words: list[str], how: str
) -> None:
    def masks(request: Mapping[str, Any]) -> Any:
        if not base64.b64decode(request["image"]).startswith(b"picture"):
            return _masks(request)  # before it begins
        if how == "handed in":
            cvat.tasks[TASK].states = {FIRST: "completed"}
        elif not cvat.annotations.job(FIRST).by_kind["shapes"]:
            for frame in SEAM:
                Person(cvat, TASK).add(frame, 0, [50, 1, 58, 9])
        return _masks(request)

    cvat.answers = {"": masks}
    assert annotate(cvat, *words) == 0
    written = [(SECOND, 5), (SECOND, 6), (SECOND, 6), (SECOND, 7), (SECOND, 7)]
    assert _frames(cvat) == ([] if how == "handed in" else [(FIRST, frame) for frame in sorted(SEAM)]) + written


def test_what_is_in_two_jobs_counts_once(
    cvat: StandIn, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.answers = {"": detect_without_floor}
    (tmp_path / "labels.yaml").write_text("- {name: rust, type: rectangle}\n")
    assert annotate(cvat, *words) == 0
    assert _frames(cvat) == [(FIRST, 5), (FIRST, 6), (FIRST, 6), (SECOND, 5), *[(SECOND, 6)] * 2, *[(SECOND, 7)] * 2]
    said = capsys.readouterr().out
    assert ["rust", "5", "2", "0.90"] in [line.split() for line in said.splitlines()]
    assert "run 1: 5 objects stored\n" in said


@pytest.mark.parametrize("mode", ["--skip-annotated", "--replace"])
def test_a_second_run_gives_the_other_job_none_either(cvat: StandIn, words: list[str], mode: str) -> None:
    annotate(cvat, *words)
    assert annotate(cvat, *words, mode) == 0
    assert _frames(cvat) == WRITTEN


@pytest.mark.parametrize("mode", ["--skip-annotated", "--append"])
def test_a_job_alone_gets_what_the_one_beside_it_lacks(
    cvat: StandIn, words: list[str], mode: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """People have drawn one of frame 6's two masks in the first job."""
    Person(cvat, TASK).add(6, 0, [0, 18, 20, 30, 25, 32], "mask")
    where = ["--job", str(SECOND), "--url", cvat.url, "--function", f"{cvat.url}/", "--queue", str(tmp_path / "queue")]
    assert main(["annotate", *where, *words, mode]) == 0
    alone = {"--skip-annotated": [], "--append": [(SECOND, 6)]}[mode]
    assert _frames(cvat) == [(FIRST, 6), (SECOND, 5), *alone, (SECOND, 7), (SECOND, 7)]
    assert "left alone: masks on frames 6 of job 2, since the job beside it has them" in capsys.readouterr().out
