import subprocess
import sys
from pathlib import Path

import pytest

from promptable.cli.main import main

from .conftest import write_function


def test_a_wrong_function_ends_the_command_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_function(tmp_path, "cats", handler="nonsense")
    assert main(["serve", "--functions", str(tmp_path)]) == 1
    assert "promptable serve: " in (error := capsys.readouterr().err)
    assert "spec.handler must be module:function" in error


@pytest.mark.parametrize("setting", ["NAME", "=value"])
def test_a_wrong_setting_is_refused(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--env", setting])
    assert f"expected NAME=VALUE, got '{setting}'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["https://gpu.example.org", "*", "gpu.example.org:8070", ""])
def test_an_allowed_host_is_a_bare_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--allow-host", name])
    assert f"expected a name such as gpu.example.org, got '{name}'" in capsys.readouterr().err


def test_neither_the_command_nor_a_worker_process_loads_what_it_does_not_need() -> None:
    heavy = "{'torch', 'numpy', 'cv2', 'transformers', 'uvicorn', 'starlette'} & set(sys.modules)"
    code = f"import sys, promptable.cli.main, promptable.local.worker_process; sys.exit(str({heavy}) if {heavy} else 0)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr


def test_a_variable_that_no_function_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--env", "PROMPTABLE_THRESHHOLD=0.3"]) == 1
    assert (
        "PROMPTABLE_THRESHHOLD is no setting of a detector or interactor or tracker: perhaps PROMPTABLE_THRESHOLD? "
        in capsys.readouterr().err
    )
