"""What people get wrong with a picture of their own is said before any model loads, in a line."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_picture_that_does_not_exist_is_named_first(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMPTABLE_IMAGE": str(tmp_path / "absent.jpg"), "PROMPTABLE_WEIGHTS": str(tmp_path)}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "demo"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr == f"PROMPTABLE_IMAGE: there is no file {tmp_path / 'absent.jpg'}\n"
    assert "Starting" not in done.stdout
