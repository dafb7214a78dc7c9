"""What make chooses by itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _make(
    folder: Path, *arguments: str, pythons: tuple[str, ...] = (), machine: str = "Linux x86_64"
) -> "subprocess.CompletedProcess[str]":
    """``make --always-make`` on such a machine, where only these interpreters are installed."""
    for name in ("make", "awk"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, does in {**dict.fromkeys(pythons, ""), "uname": f"echo {machine}"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"} | {"PATH": str(folder)}
    command = [str(folder / "make"), "--always-make", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


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
    made = _make(tmp_path, "--dry-run", "setup", pythons=pythons)
    assert made.returncode == 0
    commands = made.stdout
    assert f"{tmp_path / chosen} -m venv" in commands
    assert (f"Python: {tmp_path / chosen} (the images have 3.11)" in commands) == (chosen != "python3.11")


@pytest.mark.parametrize("target", ["setup", "cvat"])
def test_without_one_it_says_what_to_do(tmp_path: Path, target: str) -> None:
    made = _make(tmp_path, target)
    assert made.returncode != 0
    assert "none of python3.11 python3.12 python3.13 is here" in made.stdout


def test_on_a_machine_without_the_pinned_packages_it_says_what_works_there(tmp_path: Path) -> None:
    made = _make(tmp_path, "setup", pythons=("python3.11",), machine="Darwin arm64")
    assert made.returncode != 0
    assert "pinned for Linux x86_64, this is Darwin arm64" in made.stdout
    assert "Python:" not in made.stdout, "nothing was begun"
