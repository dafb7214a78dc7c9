"""``promptable annotate --local``: the detector in this process, on the toy checkpoints, over the stand-in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptable.cli.main import main
from promptable.serving.detector import models
from tests.functions.requests import file_bytes
from toy.cvat.stand_in import StandIn, Task
from toy.scenes import SIZE, scene

TOY = Path(__file__).parents[2] / "toy"


@pytest.fixture(autouse=True)
def toy_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The toy model, and a journal of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PROMPTABLE_MODEL", str(TOY / "grounding-dino"))
    monkeypatch.setenv("PROMPTABLE_DEVICE", "cpu")
    monkeypatch.setenv("PROMPTABLE_WEIGHTS", str(tmp_path))  # else a detector of another test would be found


def test_the_tasks_of_a_project_share_one_model(
    cvat: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load, loaded = models.load_models, []

    def counted(*arguments: Any) -> Any:
        loaded.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(models, "load_models", counted)
    picture = file_bytes(np.array(scene(3).image), "PNG")
    cvat.tasks = {task: Task([picture], (SIZE, SIZE), [(task, "annotation", 0, 0)]) for task in (1, 2)}
    labels = [("red circle", "any"), ("cyan star", "any")]
    cvat.labels = dict.fromkeys((("project_id", 1), ("task_id", 1), ("task_id", 2)), labels)
    (tmp_path / "labels.yaml").write_text("- red circle\n- cyan star\n")
    assert main(["annotate", "--project", "1", "--url", cvat.url, "--local", "--labels", "labels.yaml"]) == 0
    assert capsys.readouterr().out.count("1 frame to ask about, run 1") == 2
    assert len(loaded) == 1
