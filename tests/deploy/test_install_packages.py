"""What the images install, against a pip that only writes down what it is given."""

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PIP = """#!/bin/sh
echo "pip $*" >> "$RECORD"
for list; do :; done
grep -v '^#' "$list" >> "$RECORD"
"""


def _installed(folder: Path, device: str) -> list[str]:
    pip = folder / "pip"
    pip.write_text(PIP)
    pip.chmod(0o755)
    subprocess.run(  # noqa: S603
        ["/bin/sh", REPOSITORY / "docker/install-packages.sh", device, REPOSITORY / "requirements"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "RECORD": str(folder / "record")},
        check=True,
    )
    return (folder / "record").read_text().splitlines()


def _pins(device_lines: list[str]) -> list[str]:
    return sorted(line for line in device_lines if not line.startswith("pip "))


def _required(name: str) -> list[str]:
    return [line for line in (REPOSITORY / "requirements" / name).read_text().splitlines() if "==" in line]


def test_the_gpu_image_has_the_pinned_packages(tmp_path: Path) -> None:
    build_tools = [pin for pin in _required("dev.txt") if pin.startswith(("setuptools==", "wheel=="))]
    expected = sorted([*_required("runtime.txt"), *_required("models.txt"), *build_tools])
    assert _pins(_installed(tmp_path, "gpu")) == expected


def test_the_cpu_image_has_the_same_without_cuda(tmp_path: Path) -> None:
    lines = _installed(tmp_path, "cpu")
    assert lines[0].startswith("pip install --no-deps --index-url https://download.pytorch.org/whl/cpu ")
    assert [line.partition("==")[0] for line in lines[1:3]] == ["torch", "torchvision"]
    other = tmp_path / "gpu"
    other.mkdir()
    left_out = set(_pins(_installed(other, "gpu"))) - set(_pins(lines))
    assert {pin.partition("-")[0].partition("==")[0] for pin in left_out} == {"nvidia", "cuda", "triton"}


@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_no_package_is_compiled_with_cuda(tmp_path: Path, device: str) -> None:
    last = [line for line in _installed(tmp_path, device) if line.startswith("pip ")][-1]
    assert "--no-deps --no-build-isolation" in last
    assert last.endswith("models.txt")
