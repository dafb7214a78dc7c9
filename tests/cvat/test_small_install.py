"""The commands over a CVAT server in an environment that holds the packages of requirements/cvat.txt alone."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from tests.cvat.annotating import candidates
from tests.functions.requests import file_bytes
from toy.cvat.stand_in import TOKEN, StandIn, Task

ROOT = Path(__file__).parents[2]
NAMES = re.findall(r"^([\w.-]+)==[^;\n]*$", (ROOT / "requirements" / "cvat.txt").read_text(), re.MULTILINE)
ANSWER = {
    "hw": [8, 8],
    "floor": 0.1,
    "labels": [{"name": "rust", "type": "rectangle", "threshold": 0.35, "max_area": 0.95, "marks": None}],
    "rules": {"nms_iou": 0.6, "cross_label_iou": 1.0, "limit": 300},
    "proposals": {"boxes": [], "scores": [], "labels": [], "captions": [], "cut": [], "beyond_overlap": []},
    "masks": [],
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with these packages and no others."""
    folder = tmp_path_factory.mktemp("packages")
    for name in NAMES:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists() and top != "__pycache__":
                (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


def _promptable(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from promptable.cli.main import main; status = main(sys.argv[1:]); " + _NO_TORCH
    path = os.pathsep.join([str(ROOT / "src"), str(packages)])
    own = {name: os.environ[name] for name in ("PATH", "XDG_STATE_HOME")}
    environment = own | {"PYTHONPATH": path, "CVAT_ACCESS_TOKEN": TOKEN}
    command = [sys.executable, "-S", "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


_NO_TORCH = "assert not {'torch', 'cv2'} & set(sys.modules); sys.exit(status)"


def test_it_is_small() -> None:
    files = [Path(str(file.locate())) for name in NAMES for file in distribution(name).files or ()]
    size = sum(file.stat().st_size for file in set(files) if file.exists())
    assert size <= 150e6, f"{size / 1e6:.0f} MB"


def test_help(packages: Path) -> None:
    done = _promptable(packages, "preview", "--help")
    assert done.returncode == 0, done.stderr
    assert "--via-cvat" in done.stdout


def test_preview_of_a_task_through_a_function(packages: Path, cvat: StandIn, tmp_path: Path) -> None:
    picture = file_bytes(np.zeros((8, 8, 3), np.uint8), "PNG")
    cvat.tasks = {12: Task([picture] * 9, (8, 8), [(1, "annotation", 0, 8)])}
    cvat.answers = {"": ANSWER}
    (tmp_path / "labels.yaml").write_text("- rust\n")
    page = tmp_path / "out" / "page.html"
    options = [
        "--url",
        cvat.url,
        "--task",
        "12",
        "--function",
        f"{cvat.url}/",
        "--frames",
        "2,5",
        "--output",
        str(page),
    ]
    files = ["--output", str(page), "--labels", str(tmp_path / "labels.yaml")]
    done = _promptable(packages, "preview", *options, *files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(page), str(page.with_suffix(".json"))]
    assert page.exists()
    bodies = [body for body in cvat.bodies if "image" in body]
    assert [body["labels"] for body in bodies] == [[{"name": "rust", "type": "rectangle"}]] * 2


def test_a_task_is_planned_and_annotated(packages: Path, cvat: StandIn, tmp_path: Path) -> None:
    picture = file_bytes(np.zeros((8, 8, 3), np.uint8), "PNG")
    cvat.tasks = {12: Task([picture] * 9, (8, 8), [(1, "annotation", 0, 8)], deleted=[2])}
    cvat.labels = {("task_id", 12): [("rust", "rectangle")]}
    cvat.answers = {"": candidates([(0.9, [1, 1, 5, 5])], {"floor": 0.1})}
    (tmp_path / "labels.yaml").write_text("- rust\n")
    files = ["--labels", str(tmp_path / "labels.yaml"), "--queue", str(tmp_path / "queue.html")]
    where = ["--url", cvat.url, "--task", "12", "--function", f"{cvat.url}/", *files]
    done = _promptable(packages, "annotate", *where, "--dry-run")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said == ["left alone: 1 deleted frame (2): --include deleted takes it too", "8 frames would be asked about"]
    done = _promptable(packages, "annotate", *where, "--limit", "2")
    assert done.returncode == 0, done.stderr
    assert [shape["frame"] for shape in cvat.annotations.read(1)["shapes"]] == [0, 1]
    assert (tmp_path / "queue.html").exists()


def test_effort_needs_no_matplotlib(packages: Path, cvat: StandIn, tmp_path: Path) -> None:
    cvat.tasks = {12: Task([file_bytes(np.zeros((8, 8, 3), np.uint8), "PNG")] * 9, (8, 8), [(1, "annotation", 0, 8)])}
    cvat.labels = {("task_id", 12): [("rust", "any")]}
    page = tmp_path / "effort.html"
    done = _promptable(packages, "effort", "--url", cvat.url, "--task", "12", "--output", str(page))
    assert done.returncode == 0, done.stderr
    assert page.exists()


def test_local_says_what_is_missing(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_bytes(np.zeros((8, 8, 3), np.uint8), "PNG"))
    (tmp_path / "labels.yaml").write_text("- rust\n")
    labels = str(tmp_path / "labels.yaml")
    done = _promptable(packages, "preview", "--images", str(tmp_path), "--local", "--labels", labels)
    assert done.returncode == 1
    assert "--local needs the models' packages" in done.stderr


def test_labels_are_rendered_and_who_checks_prompts_is_said(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.yaml").write_text("- rust\n")
    done = _promptable(packages, "labels", "render", str(tmp_path / "labels.yaml"))
    assert (done.returncode, json.loads(done.stdout)[0]["name"]) == (0, "rust")
    assert "the small install has no tokenizers (make setup); the function checks when it starts" in done.stderr
