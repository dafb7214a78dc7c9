"""``promptable preview`` as it is called."""

import json
import os
import re
import signal
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from promptable.cli.main import main
from promptable.cvat.pages.pictures import shown
from promptable.cvat.preview import page
from promptable.cvat.preview.run import spread
from tests.cvat.annotating import candidates, detect
from tests.cvat.chromium import needs_chromium, run_in_page
from tests.functions.requests import file_bytes
from toy.cvat.stand_in import StandIn, Task

PICTURE = file_bytes(np.zeros((8, 8, 3), np.uint8), "PNG")


@pytest.fixture
def url(cvat: StandIn) -> str:
    cvat.tasks = {12: Task([PICTURE] * 9, (8, 8), [(1, "annotation", 0, 8)])}
    cvat.labels = {("task_id", 12): [("rust", "any"), ("night", "tag")]}
    shape = {"type": "rectangle", "label_id": 0, "points": [1, 2, 5, 6], "attributes": [{"spec_id": 70, "value": "44"}]}
    mask = {"type": "mask", "label_id": 0, "points": [0, 4, 2, 2, 3, 3], "attributes": []}
    tag = {"label_id": 1, "attributes": []}
    cvat.answers = {"dino": {"tags": [tag], "shapes": [shape, mask]}, "": [shape]}
    cvat.kinds = {"dino": "detector", "sam2": "tracker"}
    return cvat.url


def _preview(tmp_path: Path, *arguments: str) -> int:
    return main(["preview", *arguments, "--output", str(tmp_path / "p.html")])


def test_through_cvat_the_answer_at_one_threshold_is_shown(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--threshold", "0.3") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'p.html'}\n{tmp_path / 'p.json'}\n", "no bar in a log"
    data = json.loads((tmp_path / "p.json").read_text())
    (variant,) = data["variants"]
    assert not variant["exact"]
    assert "CVAT passes no labels on" in variant["note"]
    items = [(item["type"], item["label"], item["score"]) for item in variant["answers"][0]["items"]]
    assert items == [("rectangle", "rust", 0.44), ("mask", "rust", None), ("tag", "night", None)]
    assert {body["frame"] for body in cvat.bodies} == {frame["number"] for frame in data["frames"]}
    assert len(data["frames"]) == 5


@pytest.mark.parametrize("value", ["0.87", "", "high"])
def test_what_another_function_calls_its_confidence_is_no_score(
    url: str, cvat: StandIn, tmp_path: Path, value: str
) -> None:
    cvat.answers["dino"]["shapes"][0]["attributes"][0]["value"] = value
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--threshold", "0.3") == 0
    (variant,) = json.loads((tmp_path / "p.json").read_text())["variants"]
    assert variant["answers"][0]["items"][0]["score"] is None


@pytest.mark.parametrize("answer", [[1, 2], {"shapes": [{"label_id": 99}], "tags": []}, {"shapes": 5}, None])
def test_an_answer_of_another_form_is_a_sentence(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Any
) -> None:
    cvat.answers["dino"] = answer
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino") == 1
    assert "dino (through CVAT): the answer cannot be read: " in capsys.readouterr().err


def test_frames_that_there_are_not_are_named(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--frames", "1,99,500-") == 0
    assert "left alone: --frames names 99, 500-, and the task has frames 0-" in capsys.readouterr().out
    assert json.loads((tmp_path / "p.json").read_text())["about"] == "1 frame"


def test_frames_are_named_as_for_a_run(url: str, tmp_path: Path) -> None:
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--frames", "0-2,5,7-") == 0
    frames = json.loads((tmp_path / "p.json").read_text())["frames"]
    assert [frame["number"] for frame in frames] == [0, 1, 2, 5, 7, 8]


def test_each_picture_is_decoded_once(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def noting(data: bytes, *given: Any) -> Any:
        decoded.append(data)
        return shown(data, *given)

    monkeypatch.setattr(page, "shown", noting)
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--frames", "3") == 0
    assert len(decoded) == 3


def test_a_folder_called_preview_is_told_from_the_command(url: str, cvat: StandIn, tmp_path: Path) -> None:
    cvat.answers[""] = detect
    (folder := tmp_path / "preview").mkdir()
    (folder / "a.png").write_bytes(PICTURE)
    assert _preview(tmp_path, "--images", str(folder), "--function", f"{url}/") == 0
    assert "<title>Preview of the pictures in preview/</title>" in (tmp_path / "p.html").read_text()


@needs_chromium
def test_the_page_shows_no_score_that_nobody_said(url: str, tmp_path: Path) -> None:
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--frames", "3") == 0
    code = """
      const written = [];
      CanvasRenderingContext2D.prototype.fillText = (text) => written.push(text);
      refresh();
      return [...new Set(written)];
    """
    assert run_in_page((tmp_path / "p.html").read_text(), code, tmp_path) == ["rust", "rust 44"]


@needs_chromium
def test_through_cvat_the_page_offers_no_threshold_and_leads_into_the_editor(url: str, tmp_path: Path) -> None:
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--frames", "3,7") == 0
    code = """
      const links = [...document.querySelectorAll("figcaption a")].map((a) => [a.textContent, a.href]);
      const sliders = [...document.querySelectorAll("[type=range]")].map((one) => getComputedStyle(one).visibility);
      return [links, sliders, document.querySelectorAll("details").length];
    """
    links, sliders, lists = run_in_page((tmp_path / "p.html").read_text(), code, tmp_path)
    assert links == [[f"frame {n}", f"{url}/tasks/12/jobs/1?frame={n}"] for n in (3, 7)]
    assert (sliders, lists) == (["hidden", "hidden"], 0), "a labels.yaml of what nobody chose would look for everything"


def test_a_variant_without_an_answer_is_told(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.answers["other"], cvat.kinds["other"] = _refuse, "detector"
    variants = ("--variant", "good=@dino", "--variant", "bad=@other")
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", *variants) == 0
    assert "variant 'bad' has no answer: " in capsys.readouterr().err
    good, bad = json.loads((tmp_path / "p.json").read_text())["variants"]
    assert "no frame was answered" in bad["note"]
    assert "no frame was answered" not in good["note"]


def _refuse(_: object) -> None:
    raise ValueError("no such words")


def test_a_function_is_called_within_the_tasks_organization(url: str, cvat: StandIn, tmp_path: Path) -> None:
    cvat.tasks[12].organization = "acme"
    asked = ("--url", url, "--task", "12", "--via-cvat", "dino")
    assert _preview(tmp_path, *asked) == 0
    assert _preview(tmp_path, *asked, "--org", "") == 1, "what the login names counts"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--via-cvat", "sam2"),
            "sam2 is of kind tracker, not the detector that is wanted: of these CVAT lists dino",
        ),
        (("--function", "{url}/"), "/ is of kind tracker, not the detector that is wanted: is the address right?"),
    ],
)
def test_another_kind_of_function_is_named(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    def refuse(_: object) -> None:
        raise ValueError("shapes: expected a list, got nothing")

    cvat.answers |= {"sam2": refuse, "": refuse}
    filled = [option.format(url=url) for option in options]
    assert _preview(tmp_path, "--url", url, "--task", "12", *filled) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--via-cvat", "dino", "--frames", "99,100"), "--frames 99,100 names no frame of the task, which has 0-8"),
        (("--function", "{url}/", "--labels", "{labels}"), "knows no 'floor'"),
        (("--function", "{url}/", "--labels", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "labels.yaml").write_text("- rust\n")
    filled = [option.format(url=url, labels=tmp_path / "labels.yaml") for option in options]
    assert _preview(tmp_path, "--url", url, "--task", "12", *filled) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "p.html").exists()


def test_a_folder_needs_no_cvat_and_names_no_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _preview(tmp_path, "--images", str(tmp_path), "--function", "http://127.0.0.1:1") == 1
    assert "holds no pictures" in capsys.readouterr().err
    (tmp_path / "a.png").write_bytes(PICTURE)
    assert _preview(tmp_path, "--images", str(tmp_path), "--via-cvat", "dino") == 2
    assert "not a folder of pictures" in capsys.readouterr().err


def test_a_file_that_is_no_picture_is_a_sentence(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.tasks[12].pictures = [b"no picture"] * 9
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino") == 1
    assert re.fullmatch(r"promptable preview: \d\.png: that is no picture, or a damaged one\n", capsys.readouterr().err)


def test_a_broken_picture_among_others_is_named_and_left_out(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.tasks[12].pictures = [PICTURE, PICTURE[:40], PICTURE]
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--frames", "0-2") == 3
    assert capsys.readouterr().err == "promptable preview: left out: 1.png: that is no picture, or a damaged one\n"
    assert [frame["number"] for frame in json.loads((tmp_path / "p.json").read_text())["frames"]] == [0, 2]
    assert {body["frame"] for body in cvat.bodies} == {0, 2}


def test_a_file_of_a_folder_that_cannot_be_read_is_named_and_left_out(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cvat.answers[""] = partial(candidates, [])
    folder = tmp_path / "pictures"
    (folder / "folder.png").mkdir(parents=True)
    (folder / "a.png").write_bytes(PICTURE)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    assert _preview(tmp_path, "--images", str(folder), "--function", f"{url}/") == 3
    said = capsys.readouterr().err
    assert "left out: folder.png: Is a directory" in said
    assert "left out: gone.png: No such file or directory" in said
    assert [frame["name"] for frame in json.loads((tmp_path / "p.json").read_text())["frames"]] == ["a.png"]


def test_ctrl_c_asks_no_further_and_says_what_is_kept(
    url: str, cvat: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(_: object) -> object:
        if len(cvat.bodies) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        Event().wait(0.3)
        return {"shapes": [], "tags": []}

    cvat.answers["dino"] = answer
    assert _preview(tmp_path, "--url", url, "--task", "12", "--via-cvat", "dino", "--frames", "9") == 130
    assert capsys.readouterr().err == "promptable preview: interrupted; no page was written\n"
    assert len(cvat.bodies) <= 6, "of nine: three are asked at a time"


def test_frames_are_spread_and_repeat_with_the_seed() -> None:
    numbers = list(range(100, 200))
    chosen = spread(numbers, 5, seed=1)
    assert chosen == spread(numbers, 5, seed=1) != spread(numbers, 5, seed=2)
    assert [(number - 100) // 20 for number in chosen] == [0, 1, 2, 3, 4]
    assert spread([4, 7], 5, seed=0) == [4, 7]
