"""Is what an image installs complete? Without dev.txt, which hides from `make setup` what is missing."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
NOT_NEEDED = {"groundingdino-py": {"opencv-python", "supervision"}, "sam2": set(), "segment-anything": set()}
"""What models.txt leaves out on purpose: the GUI OpenCV, in place of which runtime.txt has the headless one."""


def _pins(*names: str) -> dict[str, str]:
    text = "\n".join((REQUIREMENTS / name).read_text() for name in names)
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


def _asked(package: str, extra: str = "") -> Iterator[Requirement]:
    """What the installed package's metadata ask for on this platform, with what the extras they name ask for."""
    for line in metadata.requires(package) or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement
            for inner in requirement.extras:
                yield from _asked(requirement.name, inner)


def _missing(package: str, pins: dict[str, str]) -> set[str]:
    """Names that it asks for and that are not pinned to a version it takes."""
    return {
        asked.name
        for asked in _asked(package)
        if not asked.specifier.contains(pins.get(canonicalize_name(asked.name), "0"), prereleases=True)
        or canonicalize_name(asked.name) not in pins
    }


IMAGE = _pins("build.txt", "torch.txt", "runtime.txt")


@pytest.mark.parametrize("package", IMAGE)
def test_the_image_holds_all_that_a_package_needs(package: str) -> None:
    assert _missing(package, IMAGE) == set()


@pytest.mark.parametrize("file", ["cvat.txt", "deploy.txt"])
def test_a_laptops_lists_are_complete(file: str) -> None:
    pins = _pins(file)
    here = [package for package in pins if package != "colorama"]  # of Windows
    assert {package: missing for package in here if (missing := _missing(package, pins))} == {}


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.in")), ids=lambda file: file.name)
def test_what_is_asked_for_is_pinned(file: Path) -> None:
    names = {canonicalize_name(name) for name in re.findall(r"^[\w.-]+", file.read_text(), re.MULTILINE)}
    pins = _pins(*(path.name for path in REQUIREMENTS.glob("*.txt")))
    assert names <= set(pins), "run make lock"


@pytest.mark.parametrize("package", _pins("models.txt"))
def test_what_the_model_packages_lack_is_named(package: str) -> None:
    assert _missing(package, IMAGE) == NOT_NEEDED[package]


def test_lists_agree_on_a_package_that_several_of_them_pin() -> None:
    """On its version and its hashes: where another list installed it before, pip would not notice."""
    block = re.compile(r"^([\w.-]+)==([^\s;]+)[^\n]*\n((?: +--hash=[^\n]+\n)+)", re.MULTILINE)
    found: dict[str, set[tuple[str, frozenset[str]]]] = {}
    for file in REQUIREMENTS.glob("*.txt"):
        for name, version, hashes in block.findall(file.read_text()):
            pinned = version, frozenset(re.findall(r"sha256:(\w+)", hashes))
            found.setdefault(canonicalize_name(name), set()).add(pinned)
    assert sum(map(len, found.values())) > 100
    assert [name for name, pins in found.items() if len(pins) > 1] == []
