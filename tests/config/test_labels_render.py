"""``promptable labels render``: prompts as the model reads them."""

import json
from pathlib import Path

import pytest

from promptable.cli.main import main

TOY_WEIGHTS = Path(__file__).parents[2] / "toy" / "grounding-dino"


def test_render_checks_prompts_as_the_model_reads_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "labels.yaml"
    command = ["labels", "render", str(file), "--weights", str(TOY_WEIGHTS)]
    file.write_text("- red circle\n- 'red\N{ZERO WIDTH SPACE} circle'\n", encoding="utf-8")
    assert main(command) == 1
    assert "labels 'red circle' and 'red\\u200b circle' have prompts" in capsys.readouterr().err
    file.write_text("- {name: красный круг, prompts: [red circle]}\n- blue square\n", encoding="utf-8")
    assert main(command) == 0
    said = capsys.readouterr()
    assert [label["name"] for label in json.loads(said.out)] == ["красный круг", "blue square"]
    assert said.err == ""


def test_render_says_when_it_could_not_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text("- person\n")
    assert main(["labels", "render", str(file), "--weights", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert f"{tmp_path / 'vocab.txt'} is missing (promptable download swin-t" in said.err
    assert json.loads(said.out)[0]["name"] == "person"
