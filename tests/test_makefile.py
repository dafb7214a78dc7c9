"""What make chooses by itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _setup(folder: Path, *pythons: str) -> str:
    """What ``make setup`` would run where only these interpreters are installed."""
    for name in ("make", "awk"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name in pythons:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    command = [str(folder / "make"), "--always-make", "--dry-run", "setup"]
    environment = {**os.environ, "PATH": str(folder), "PYTHON": ""} | {"PATH": str(folder)}
    del environment["PYTHON"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        (("python3.11", "python3.12"), "python3.11"),
        (("python3.13", "python3.12"), "python3.12"),
        (("python3.13",), "python3.13"),
    ],
)
def test_set_up_takes_python_3_11_or_the_nearest_newer_one_and_says_so(
    tmp_path: Path, pythons: tuple[str, ...], chosen: str
) -> None:
    commands = _setup(tmp_path, *pythons)
    assert f"{tmp_path / chosen} -m venv" in commands
    assert (f"Python: {tmp_path / chosen} (the images have 3.11)" in commands) == (chosen != "python3.11")


def test_without_one_it_says_what_to_do(tmp_path: Path) -> None:
    assert "none of python3.11 python3.12 python3.13 is here" in _setup(tmp_path)
