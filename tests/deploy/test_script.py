"""./deploy.sh itself: it finds or makes the Python that the command runs on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.machine import REPOSITORY, Machine

OLD = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout beside which there is no virtual environment."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in ("docker", "functions", "src"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "requirements").mkdir()
    (folder / "requirements" / "deploy.txt").write_text("")
    return Path(shutil.copy(REPOSITORY / "deploy.sh", folder)).parent


def _without_python(machine: Machine) -> None:
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        place = machine.folder / "bin" / name
        place.unlink(missing_ok=True)
        place.write_text(OLD)
        place.chmod(0o755)


def test_the_checkouts_own_environment_is_used(machine: Machine) -> None:
    process = machine.script("--help")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "--toleration KEY[=VALUE][:EFFECT]" in out


def test_through_a_symlink(machine: Machine, tmp_path: Path) -> None:
    link = tmp_path / "deploy"
    link.symlink_to(REPOSITORY / "deploy.sh")
    process = machine.script("--help", script=link)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert not (tmp_path / ".venv-deploy").exists()


def test_python_files_of_the_working_directory_are_not_run(machine: Machine, tmp_path: Path) -> None:
    for name in ("signal", "yaml", "pydantic", "promptable"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the working directory')")
    process = machine.script("--help", folder=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "usage" in out


def test_without_a_python(machine: Machine, checkout: Path) -> None:
    _without_python(machine)
    _, err = machine.script("--cpu", script=checkout / "deploy.sh").communicate(timeout=120)
    assert "no Python from 3.11 on" in err
    assert "sudo apt install python3-venv" in err


def test_an_environment_is_made_once_from_the_wheels_that_are_given(
    machine: Machine, checkout: Path, tmp_path: Path
) -> None:
    """pip is stood in for: it writes down what it is asked for, and puts in what the tests run on."""
    made = checkout / ".venv-deploy"
    pip = tmp_path / "pip.py"
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    pip.write_text(
        f"import pathlib, sys\nopen({str(tmp_path / 'asked')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        f"site = next(pathlib.Path({str(made)!r}).glob('lib/*/site-packages'))\n"
        f"(site / 'tests.pth').write_text({packages!r})\n"
    )
    python = machine.folder / "bin" / "python3"
    python.unlink()
    python.write_text(
        f'#!/bin/bash\n[[ $1 != -c ]] || exec {sys.executable} "$@"\n'
        f"{sys.executable} -m venv --without-pip {made}\n"
        f"/bin/mkdir -p {made}/lib/python3.{sys.version_info.minor}/site-packages/pip\n"
        f"/bin/cp {pip} {made}/lib/python3.{sys.version_info.minor}/site-packages/pip/__main__.py\n"
    )
    python.chmod(0o755)
    for option in (("--wheels=wheels",), ("--wheels", "wheels")):
        process = machine.script("sam2-tracker", *option, "--help", script=checkout / "deploy.sh")
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert asked == (
        f"install --quiet --require-hashes --no-index --find-links wheels -r {checkout}/requirements/deploy.txt"
    )


def test_its_packages_are_the_images_versions_and_complete() -> None:
    lists = {name: (REPOSITORY / "requirements" / name).read_text() for name in ("deploy.txt", "runtime.txt")}
    pins = [line for line in lists["deploy.txt"].splitlines() if "==" in line]
    assert {"pydantic", "pyyaml", "rich"} <= {pin.partition("==")[0] for pin in pins}
    assert [pin for pin in pins if pin not in lists["runtime.txt"]] == []


def test_the_commands_own_modules_need_nothing_else() -> None:
    code = (
        "import sys, promptable.cli.main, promptable.deploy.actions as _;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    heavy = {"torch", "numpy", "cv2", "PIL", "orjson", "redis", "transformers", "safetensors"}
    assert heavy & set(done.stdout.split()) == set()
