"""``promptable effort --suggest``: figures by hand where evidence leaves no doubt, and the way round to preview."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from promptable.cli.main import main
from promptable.cvat.annotate import detector
from promptable.cvat.effort.judging.frames import JudgedFrame
from promptable.cvat.effort.judging.verdicts import Judged, Verdict
from promptable.cvat.effort.suggest.evidence import Evidence, EvidenceByModel, LabelOnFrame
from promptable.cvat.effort.suggest.review_threshold import review_threshold
from promptable.cvat.effort.suggest.thresholds import Goal, Suggestion, suggested
from promptable.cvat.journal import Run
from tests.functions.requests import file_bytes
from toy.cvat.person import Person
from toy.cvat.stand_in import StandIn, Task

FRAMES = 40
PICTURE = file_bytes(np.zeros((40, 60, 3), np.uint8), "PNG")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and a journal of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(detector, "PAUSES", ())


def evidence(frames: Sequence[tuple[list[float], list[bool], int]], threshold: float, reviewed: int = 99) -> Evidence:
    """Of the label rust: scores, which of them are right, and how many objects there are, frame by frame."""
    labels = [{"name": "rust", "type": "rectangle", "threshold": threshold}]
    run = Run(1, "annotate", "finished", {}, {"labels": labels, "rules": {"limit": 300}}, "2026-01-01", None)
    seen: list[Mapping[str, LabelOnFrame]] = [
        {"rust": LabelOnFrame(np.array(scores), np.array(right, bool), n)} for scores, right, n in frames
    ]
    found = Evidence(run, seen)
    found.reviewed["rust"] = reviewed
    return found


def rust(
    frames: Sequence[tuple[list[float], list[bool], int]], threshold: float, goal: Goal | None = None
) -> Suggestion:
    return suggested(evidence(frames, threshold), "rust", goal or Goal())


CLEAR = [([0.6, 0.3], [True, False], 1)] * FRAMES
"""An object of .6 and a mistake of .3 on every frame."""


def test_the_best_f1_is_the_middle_of_what_tells_right_from_wrong() -> None:
    found = rust(CLEAR, 0.2)
    assert found.threshold == 0.46, "of .31 to .60"
    assert found.f1_now == pytest.approx(2 / 3), "40 right, 40 wrong, 40 objects: 80 of 120"
    assert found.f1_chosen == 1
    assert found.interval == (0.46, 0.46)
    assert (found.right, found.answered) == (40, 40)
    assert str(found) == (
        "threshold 0.20 -> 0.46; resampled: 0.46 to 0.46. 99 reviewed objects: F1 now 0.67, then 1.00; "
        "40 of 40 answers right at 0.46 (91% to 100%)."
    )


def test_a_threshold_that_is_among_the_best_stays() -> None:
    found = rust(CLEAR, 0.35)
    assert found.threshold == 0.35
    assert found.why == "no threshold does better on frames that it was not chosen on"
    assert found.f1_now == found.f1_chosen == 1


def test_missed_objects_count_and_lower_thresholds_are_known_down_to_the_floor() -> None:
    found = rust([([0.15], [True], 2)] * FRAMES, 0.4)
    assert found.threshold == 0.13, "of .10 to .15"
    assert found.f1_now == 0
    assert found.f1_chosen == pytest.approx(2 / 3), "40 right of 80 objects: 80 of 120"


def test_of_a_run_that_says_nothing_below_its_threshold_nothing_lower_is_known() -> None:
    known = evidence([([0.15], [True], 2)] * FRAMES, 0.4)
    run = Run(1, "annotate", "finished", {}, {"labels": known.entries, "rules": {}}, "2026-01-01", None)
    assert suggested(Evidence(run, known.frames, known.reviewed), "rust", Goal()).threshold == 0.4


def test_a_wanted_precision_takes_the_lowest_threshold_that_has_it() -> None:
    assert rust(CLEAR, 0.2, Goal(0.9)).threshold == 0.31
    assert rust(CLEAR, 0.5, Goal(0.5)).threshold == 0.1, "half of the answers are right from the floor on"
    never = rust([([0.6], [False], 1)] * FRAMES, 0.2, Goal(0.9))
    assert (never.threshold, never.why) == (0.2, "no threshold has a precision of 0.9 here")


def test_a_wanted_precision_is_had_on_the_reviewed_frames() -> None:
    """Resamples differ in where they have it; their mean may lie below."""
    frames = [([0.9, 0.5], [True, i % 8 != 0], 2) for i in range(FRAMES)]
    found = rust(frames, 0.2, Goal(0.95))
    assert found.threshold == 0.51, "75 of 80 are right at .5"
    assert found.interval is not None
    assert found.interval[0] < 0.5, "some resamples have 95% from the floor on"


def test_under_30_reviewed_objects_it_says_so() -> None:
    found = suggested(evidence(CLEAR, 0.2, reviewed=29), "rust", Goal())
    assert found.threshold == 0.2
    assert str(found) == "threshold stays 0.20: 29 reviewed objects, and 30 are needed to say something."


@pytest.mark.parametrize(("frames", "count"), [(1, "1 reviewed frame"), (4, "4 reviewed frames")])
def test_under_5_reviewed_frames_it_says_so(frames: int, count: str) -> None:
    crowded = [([0.6] * 50, [True] * 50, 50)] * frames
    assert str(rust(crowded, 0.2)) == f"threshold stays 0.20: {count}, and 5 are needed to say something."


@pytest.mark.parametrize("now", [0.12344, 0.12346, 0.99994, 1.0])
def test_a_threshold_between_two_hundredths_is_known_as_it_is(now: float) -> None:
    found = rust([([now], [True], 1)] * FRAMES, now)
    assert (found.threshold, found.f1_now) == (now, 1)


def test_noise_moves_no_threshold_much() -> None:
    """Right and wrong do not differ in confidence: there is nothing to choose."""
    draw = np.random.default_rng(1)
    frames = [(draw.uniform(0.1, 1, 2).tolist(), [True, False], 1) for _ in range(FRAMES)]
    found = rust(frames, 0.1)
    assert found.threshold <= 0.3
    assert found.interval is not None


def test_other_models_are_kept_apart_and_a_frame_of_two_jobs_counts_once() -> None:
    def run(number: int, model: str) -> Run:
        labels = [{"name": "rust", "type": "rectangle", "threshold": 0.35}]
        return Run(number, "annotate", "finished", {}, {"model": model, "labels": labels}, f"2026-01-0{number}", None)

    found = EvidenceByModel()
    for job, frame, asked in (
        (1, 4, run(1, "old")),
        (1, 5, run(2, "new")),
        (2, 5, run(2, "new")),
        (2, 6, run(3, "new")),
    ):
        found.add(JudgedFrame(3, job, frame, (), asked.id), asked)
    latest = found.latest()
    assert latest is not None
    assert (len(latest.frames), latest.run.id) == (2, 3)
    assert EvidenceByModel().latest() is None


def judged(score: float | None, verdict: Verdict) -> Judged:
    return Judged(1, 1, 1, "shape", "rust", verdict, score)


def test_where_to_look_is_the_lowest_threshold_that_catches_enough_errors() -> None:
    labels = [judged(0.2 + i / 100, Verdict.DELETED) for i in range(10)]  # .20 to .29
    labels += [judged(0.5, Verdict.RELABELLED), *[judged(0.4, Verdict.UNCHANGED)] * 9, judged(None, Verdict.EDITED)]
    labels += [judged(0.8, Verdict.MINOR)] * 20
    found = review_threshold(labels, 0.9)
    assert (found.below, found.labels, found.errors, found.caught, found.looked) == (0.3, 40, 11, 10, 10)
    assert review_threshold(labels, 1.0).below == 0.51
    assert review_threshold(labels[:11], 0.9).why.startswith("11 reviewed labels with a confidence")
    assert review_threshold([judged(0.8, Verdict.UNCHANGED)] * 30, 0.9).why == "none of 30 labels was wrong"


def _detect(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """On every frame an object of .6 and a mistake of .4."""
    labels = request.get("labels", [{"name": "rust", "type": "rectangle"}])
    common = {"threshold": 0.35, "max_area": 1.0, "marks": None}
    boxes = [[5, 5, 25, 25], [30, 5, 50, 25]] if base64.b64decode(request["image"]) == PICTURE else []
    none = [0] * len(boxes)
    return {
        "model": "swin-t 1",
        "hw": [40, 60],
        "floor": request["floor"],
        "labels": [common | {key: one[key] for key in ("name", "type", "threshold") if key in one} for one in labels],
        "rules": {"nms_iou": 0.6, "cross_label_iou": 1.0, "limit": 300},
        "proposals": {
            "boxes": boxes,
            "labels": none,
            "scores": [0.6, 0.4][: len(boxes)],
            "captions": none,
            "cut": [[0] * 4] * len(boxes),
            "beyond_overlap": none,
        },
        "masks": [],
    }


def test_the_loop_is_closed(cvat: StandIn, tmp_path: Path) -> None:
    """Annotate, correct, suggest; preview reads the list beside the old one."""
    cvat.tasks = {3: Task([PICTURE] * FRAMES, (40, 60), [(1, "annotation", 0, 39)])}
    cvat.labels = {("task_id", 3): [("rust", "rectangle"), ("dent", "rectangle")]}
    cvat.answers = {"": _detect}
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("- {name: rust, prompts: [oxidized rivet, rusted metal]}\n- dent\n")
    where = ["--task", "3", "--url", cvat.url]
    model = ["--function", f"{cvat.url}/"]
    assert main(["annotate", *where, *model, "--labels", str(old), "--queue", str(tmp_path / "queue.html")]) == 0
    person = Person(cvat, 3)
    for frame in range(FRAMES):
        person.delete(person.shapes(frame)[1])
    person.complete(1)
    page = tmp_path / "effort.html"
    assert main(["effort", *where, "--suggest", str(new), "--output", str(page)]) == 0
    advice = json.loads(page.with_suffix(".json").read_text())["advice"]
    assert (advice["frames"], advice["labels"][0]["threshold"]) == (FRAMES, 0.51), "the middle of .41 to .60"
    assert advice["review"]["below"] == 0.41
    assert (advice["review"]["caught"], advice["review"]["looked"]) == (FRAMES, FRAMES)
    text = new.read_text()
    assert yaml.safe_load(text) == [
        {"name": "rust", "type": "rectangle", "prompts": ["oxidized rivet", "rusted metal"], "threshold": 0.51},
        {"name": "dent", "type": "rectangle"},
    ]
    for evidence_of in (
        "# Where to look: --review-below 0.41 has 40 of 40 errors below it (91% to 100%), and 40 of all 80 labels.\n",
        "# threshold 0.35 -> 0.51; resampled: 0.51 to 0.51. 80 reviewed objects: F1 now 0.67, then 1.00;",
        "# threshold stays 0.35: 0 reviewed objects, and 30 are needed to say something.\n",
    ):
        assert evidence_of in text
    variants = ["--variant", f"old={old}", "--variant", f"new={new}", "--frames", "2"]
    assert main(["preview", *where, *model, *variants, "--output", str(tmp_path / "preview.html")]) == 0
    shown = json.loads((tmp_path / "preview.json").read_text())["variants"]
    assert [[label["threshold"] for label in variant["labels"]] for variant in shown] == [[0.35, 0.35], [0.51, 0.35]]


def test_a_threshold_that_stays_is_the_runs_own(cvat: StandIn, tmp_path: Path) -> None:
    """--min-confidence, where the list says something else."""
    cvat.tasks = {3: Task([PICTURE] * 3, (40, 60), [(1, "annotation", 0, 2)])}
    cvat.labels = {("task_id", 3): [("rust", "rectangle")]}
    cvat.answers = {"": _detect}
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("- {name: rust, threshold: 0.5}\n")
    where = ["--task", "3", "--url", cvat.url]
    run = ["--function", f"{cvat.url}/", "--labels", str(old), "--min-confidence", "0.2"]
    assert main(["annotate", *where, *run, "--queue", str(tmp_path / "queue.html")]) == 0
    asked = ["effort", *where, "--reviewed", "all", "--output", str(tmp_path / "effort.html")]
    assert main([*asked, "--suggest", str(new)]) == 0
    assert "# threshold stays 0.20: 6 reviewed objects" in new.read_text()
    assert [entry["threshold"] for entry in yaml.safe_load(new.read_text())] == [0.2]


def test_prompts_of_the_functions_own_labels_come_from_a_file(cvat: StandIn, tmp_path: Path) -> None:
    cvat.tasks = {3: Task([PICTURE] * 3, (40, 60), [(1, "annotation", 0, 2)])}
    cvat.labels = {("task_id", 3): [("rust", "rectangle")]}
    cvat.answers = {"": _detect}
    where = ["--task", "3", "--url", cvat.url]
    assert main(["annotate", *where, "--function", f"{cvat.url}/", "--queue", str(tmp_path / "queue.html")]) == 0
    new, deployed = tmp_path / "new.yaml", tmp_path / "deployed.yaml"
    asked = ["effort", *where, "--reviewed", "all", "--suggest", str(new), "--output", str(tmp_path / "effort.html")]
    assert main(asked) == 0
    assert "# The run asked for the function's own labels, whose prompts are not known here" in new.read_text()
    assert yaml.safe_load(new.read_text()) == [{"name": "rust", "type": "rectangle", "threshold": 0.35}]
    deployed.write_text("- {name: rust, prompts: [oxidized rivet]}\n")
    assert main([*asked, "--labels", str(deployed)]) == 0
    assert "not known here" not in new.read_text()
    assert yaml.safe_load(new.read_text()) == [{"name": "rust", "type": "rectangle", "prompts": ["oxidized rivet"]}]


def test_a_labels_yaml_of_people_is_not_overwritten(
    cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "labels.yaml"
    mine.write_text("- rust\n")
    assert main(["effort", "--task", "3", "--url", cvat.url, "--suggest", str(mine)]) == 1
    assert f"--suggest: {mine} is there, and is not overwritten" in capsys.readouterr().err
    assert mine.read_text() == "- rust\n"
    assert not cvat.asked


def test_nothing_reviewed_suggests_nothing(cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cvat.tasks = {3: Task([PICTURE] * 3, (40, 60), [(1, "annotation", 0, 2)])}
    cvat.labels = {("task_id", 3): [("rust", "rectangle")]}
    asked = ["effort", "--task", "3", "--url", cvat.url, "--suggest", str(tmp_path / "new.yaml")]
    assert main([*asked, "--output", str(tmp_path / "effort.html")]) == 1
    assert "--suggest: no reviewed frame that a run in the journal has looked at" in capsys.readouterr().err
    assert not (tmp_path / "new.yaml").exists()
