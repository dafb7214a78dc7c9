"""The checkpoints that go into an image. The downloads are stood in for: they would need a network."""

import hashlib
from pathlib import Path

import pytest

from promptable.deploy.image import weights
from promptable.deploy.image.weights import collect
from promptable.models import catalogue
from promptable.models.catalogue import Checkpoint, Family

GOOD = b"weights"
TINY = Checkpoint(
    "https://example.com/tiny.pt", hashlib.sha256(GOOD).hexdigest(), 7, Family("", "", "", {}), memory_gib=1
)


class Net:
    """What stands in for ``download``: a missing file comes from here."""

    content: bytes | None = GOOD

    def download(self, model: str, folder: Path) -> None:
        if self.content is None:
            raise OSError("Name or service not known")
        (folder / "tiny.pt").write_bytes(self.content)


@pytest.fixture(autouse=True)
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    net = Net()
    monkeypatch.setattr(catalogue, "OFFICIAL", {"tiny": TINY})
    monkeypatch.setattr(weights, "download", net.download)
    return net


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Local, cache, into."""
    for name in ("local", "cache"):
        (tmp_path / name).mkdir()
    return tmp_path / "local", tmp_path / "cache", tmp_path / "into"


def test_from_the_net(folders: tuple[Path, Path, Path]) -> None:
    assert collect(["tiny"], *folders) == [folders[2] / "tiny.pt"]
    assert (folders[2] / "tiny.pt").read_bytes() == GOOD


def test_a_model_of_ones_own_is_readable_in_the_image_whatever_the_umask_was(
    folders: tuple[Path, Path, Path],
) -> None:
    model = folders[0] / "mine-0123456789ab"
    model.mkdir(mode=0o700)
    for name in ("config.json", "model.safetensors"):
        (model / name).touch(mode=0o600)
    (copied,) = collect([model.name], *folders)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (copied, *copied.iterdir())}
    assert modes == {model.name: 0o755, "config.json": 0o644, "model.safetensors": 0o644}


def test_from_a_local_folder(folders: tuple[Path, Path, Path], net: Net) -> None:
    net.content = None
    (folders[0] / "tiny.pt").write_bytes(GOOD)
    (folders[0] / "notes.txt").write_text("something else")
    collect(["tiny"], *folders)
    assert [path.name for path in folders[2].iterdir()] == ["tiny.pt"]


def test_a_damaged_local_file_reaches_neither_the_image_nor_the_cache(folders: tuple[Path, Path, Path]) -> None:
    local, cache, into = folders
    (local / "tiny.pt").write_bytes(b"weighty")
    with pytest.raises(ValueError, match=r"tiny\.pt is damaged or not the official file"):
        collect(["tiny"], *folders)
    assert [*cache.iterdir(), *into.iterdir()] == []
    (local / "tiny.pt").unlink()
    collect(["tiny"], *folders)
    assert (into / "tiny.pt").read_bytes() == GOOD


def test_a_damaged_file_of_an_earlier_build_is_fetched_again(folders: tuple[Path, Path, Path]) -> None:
    (folders[1] / "tiny.pt").write_bytes(b"weigh")
    collect(["tiny"], *folders)
    assert (folders[2] / "tiny.pt").read_bytes() == GOOD


def test_a_download_that_fails_names_the_file_and_what_to_do(folders: tuple[Path, Path, Path], net: Net) -> None:
    net.content = None
    with pytest.raises(RuntimeError) as error:
        collect(["tiny"], *folders)
    for part in ("Name or service not known", "tiny.pt (https://example.com/tiny.pt)", "--weights DIR", "HTTPS_PROXY"):
        assert part in str(error.value)


def test_a_model_folder_of_the_admins_own(folders: tuple[Path, Path, Path]) -> None:
    (folders[0] / "rust-0123").mkdir()
    (folders[0] / "rust-0123" / "model.safetensors").write_bytes(b"own")
    assert collect(["rust-0123"], *folders) == [folders[2] / "rust-0123"]
    assert (folders[2] / "rust-0123" / "model.safetensors").read_bytes() == b"own"
    with pytest.raises(ValueError, match="'rust-4567' is no official model"):
        collect(["rust-4567"], *folders)


def test_no_models_leave_an_empty_folder_for_a_volume(folders: tuple[Path, Path, Path]) -> None:
    assert collect([], *folders) == []
    assert folders[2].is_dir()
