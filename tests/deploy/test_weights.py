"""The checkpoints that go into an image. The downloads are stood in for: they would need PyTorch and a network."""

import hashlib
import importlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from promptable.models import catalogue

GOOD = b"weights"


@dataclass(frozen=True)
class _Download:
    file_name: str
    sha256: str


OFFICIAL = {"tiny": _Download("tiny.pt", hashlib.sha256(GOOD).hexdigest())}


class _Weights(ModuleType):
    """The part of promptable.models.weights that is used; a missing file is 'downloaded' from ``net``."""

    net = GOOD

    def download(self, model: str, folder: Path) -> list[Path]:
        file = folder / OFFICIAL[model].file_name
        if not file.is_file():
            file.write_bytes(self.net)
        return [file]

    def sha256_of(self, path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(catalogue, "OFFICIAL", OFFICIAL)
    monkeypatch.setitem(sys.modules, "promptable.models.weights", _Weights("weights"))
    monkeypatch.delitem(sys.modules, "promptable.deploy.weights", raising=False)
    yield importlib.import_module("promptable.deploy.weights")
    sys.modules.pop("promptable.deploy.weights")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Local, cache, into."""
    for name in ("local", "cache"):
        (tmp_path / name).mkdir()
    return tmp_path / "local", tmp_path / "cache", tmp_path / "into"


def test_from_the_net(weights: Any, folders: tuple[Path, Path, Path]) -> None:
    assert weights.collect(["tiny"], *folders) == [folders[2] / "tiny.pt"]
    assert (folders[2] / "tiny.pt").read_bytes() == GOOD


def test_from_a_local_folder(weights: Any, folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Weights, "net", b"not reached")
    (folders[0] / "tiny.pt").write_bytes(GOOD)
    (folders[0] / "notes.txt").write_text("something else")
    weights.collect(["tiny"], *folders)
    assert [path.name for path in folders[2].iterdir()] == ["tiny.pt"]


@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_file_is_not_taken_and_not_kept(weights: Any, folders: tuple[Path, Path, Path], place: int) -> None:
    (folders[place] / "tiny.pt").write_bytes(b"weighty")
    with pytest.raises(ValueError, match=r"tiny\.pt is damaged or not the official file"):
        weights.collect(["tiny"], *folders)
    assert list(folders[2].iterdir()) == []
    shutil.rmtree(folders[0])
    folders[0].mkdir()
    weights.collect(["tiny"], *folders)
    assert (folders[2] / "tiny.pt").read_bytes() == GOOD


def test_no_models_leave_an_empty_folder_for_a_volume(weights: Any, folders: tuple[Path, Path, Path]) -> None:
    assert weights.collect([], *folders) == []
    assert folders[2].is_dir()
