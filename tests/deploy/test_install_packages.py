"""What the images install, against a pip that only writes down what it is given."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PIP = """#!/bin/sh
echo "pip $*" >> "$RECORD"
echo "$PIP_CONFIG_FILE $PIP_CERT" >> "$SECRETS/environment"
[ "$1" = install ] || exit 0
for list; do :; done
grep -v '^[# ]' "$list" | sed 's/ .*//' >> "$RECORD"
"""


def _installed(folder: Path, device: str) -> list[str]:
    pip = folder / "pip"
    pip.write_text(PIP)
    pip.chmod(0o755)
    subprocess.run(  # noqa: S603
        ["/bin/sh", REPOSITORY / "docker/install-packages.sh", device, REPOSITORY / "requirements"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "RECORD": str(folder / "record"), "SECRETS": str(folder)},
        check=True,
    )
    return (folder / "record").read_text().splitlines()


def _pins(device_lines: list[str]) -> list[str]:
    return sorted(line for line in device_lines if line and not line.startswith("pip "))


def _installs(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("pip install ")]


def _required(*names: str) -> list[str]:
    lines = [line for name in names for line in (REPOSITORY / "requirements" / name).read_text().splitlines()]
    return [line.split()[0] for line in lines if "==" in line]


def test_the_gpu_image_has_the_pinned_packages(tmp_path: Path) -> None:
    expected = sorted(_required("build.txt", "torch.txt", "runtime.txt", "models.txt"))
    assert _pins(_installed(tmp_path, "gpu")) == expected


def test_the_cpu_image_has_the_same_without_cuda(tmp_path: Path) -> None:
    lines = _installed(tmp_path, "cpu")
    (own,) = [number for number, line in enumerate(lines) if "https://download.pytorch.org/whl/cpu" in line]
    assert [line.partition("==")[0] for line in lines[own + 1 : own + 3]] == ["torch", "torchvision"]
    other = tmp_path / "gpu"
    other.mkdir()
    left_out = set(_pins(_installed(other, "gpu"))) - {pin.removesuffix("+cpu") for pin in _pins(lines)}
    assert {pin.partition("-")[0].partition("==")[0] for pin in left_out} == {"nvidia", "cuda", "triton"}


@pytest.mark.parametrize(("device", "unchecked"), [("gpu", 0), ("cpu", 1)])
def test_every_file_is_checked_but_pytorchs_cpu_build(tmp_path: Path, device: str, unchecked: int) -> None:
    calls = _installs(_installed(tmp_path, device))
    without = [call for call in calls if "--require-hashes" not in call]
    assert len(without) == unchecked
    assert all("download.pytorch.org" in call for call in without)


@pytest.mark.parametrize("name", ["build.txt", "torch.txt", "runtime.txt", "models.txt", "dev.txt"])
def test_every_pinned_package_has_a_sha256(name: str) -> None:
    entries = re.split(r"^(?=\S)", (REPOSITORY / "requirements" / name).read_text(), flags=re.MULTILINE)
    pins = [entry for entry in entries if entry and not entry.startswith("#")]
    assert pins
    for pin in pins:
        assert re.match(r"\S+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", pin), pin


@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_no_package_is_compiled_with_cuda(tmp_path: Path, device: str) -> None:
    last = _installs(_installed(tmp_path, device))[-1]
    assert "--require-hashes --no-deps --no-build-isolation" in last
    assert last.endswith("models.txt")


@pytest.mark.parametrize(("device", "left"), [("gpu", ["pip uninstall --yes triton"]), ("cpu", [])])
def test_what_nothing_uses_leaves_the_gpu_image_after_all_is_installed(
    tmp_path: Path, device: str, left: list[str]
) -> None:
    calls = [line for line in _installed(tmp_path, device) if line.startswith("pip ")]
    assert calls == _installs(calls) + left


def test_the_admins_pip_config_names_every_index(tmp_path: Path) -> None:
    (tmp_path / "pip-config").write_text("")
    (tmp_path / "ca").write_text("")
    calls = _installs(_installed(tmp_path, "cpu"))
    assert not any("--index-url" in call for call in calls)
    environment = (tmp_path / "environment").read_text().splitlines()
    assert set(environment) == {f"{tmp_path}/pip-config {tmp_path}/ca"}


def test_the_secrets_are_in_no_layer_and_downloads_are_kept_between_builds() -> None:
    dockerfile = (REPOSITORY / "docker/Dockerfile").read_text()
    assert "--mount=type=cache,id=promptable-pip,target=/root/.cache/pip" in dockerfile
    for secret in ("ca", "pip-config"):
        assert f"--mount=type=secret,id={secret}" in dockerfile
