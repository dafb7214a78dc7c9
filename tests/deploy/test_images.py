"""What goes into an image of the admin's own folders."""

import hashlib
from pathlib import Path

import pytest

from promptable.deploy.errors import DeployError
from promptable.deploy.image.build import stage
from promptable.deploy.image.own_model import OwnModel, own_model
from promptable.models import catalogue
from promptable.models.catalogue import Checkpoint, Family

GOOD = b"weights"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def official(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the official models there are two, of a few bytes each."""
    sha256 = hashlib.sha256(GOOD).hexdigest()
    family = Family("a family", "Apache-2.0", "config.json", {})
    rows = {
        name: Checkpoint(f"https://example.com/{name}.pt", sha256, len(GOOD), family, memory_gib=1)
        for name in ("tiny", "large")
    }
    monkeypatch.setattr(catalogue, "OFFICIAL", rows)


def _folder(path: Path, content: bytes = b"own") -> Path:
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(content)
    (path / "config.json").write_text("{}")
    (path / ".hidden").write_text("not for the image")
    (path / "runs").mkdir()
    return path


def test_only_what_the_function_needs_is_laid_out(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("tiny.pt", "large.pt", "holiday.jpg"):
        (weights / name).write_bytes(GOOD)
    staged = stage(["tiny"], [], weights, tmp_path / "staged")
    assert staged is not None
    assert [file.name for file in staged.iterdir()] == ["tiny.pt"]


def test_a_damaged_file_is_named_where_it_lies_before_any_build(tmp_path: Path) -> None:
    (tmp_path / "tiny.pt").write_bytes(b"weighty")
    with pytest.raises(DeployError, match=f"{tmp_path}/tiny.pt is damaged or not the official file: remove it"):
        stage(["tiny"], [], tmp_path, tmp_path / "staged")
    assert stage(["large"], [], tmp_path, tmp_path / "staged") is None, "another function does not need it"


def test_a_model_folder_goes_in_under_its_fingerprint(tmp_path: Path) -> None:
    first, other = OwnModel(_folder(tmp_path / "1" / "rust v2")), OwnModel(_folder(tmp_path / "2" / "rust v2", b"new"))
    assert first.name.startswith("rust-v2-")
    assert first.name != other.name
    assert first.name == OwnModel(tmp_path / "1" / "rust v2").name
    staged = stage([first.name], [first], None, tmp_path / "staged")
    assert staged is not None
    names = sorted(file.relative_to(staged).as_posix() for file in staged.rglob("*") if file.is_file())
    assert names == [f"{first.name}/config.json", f"{first.name}/model.safetensors"]


def test_what_is_no_model_folder(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="expected a model folder or one of"):
        own_model("vit_x")
    folder = _folder(tmp_path / "model")
    (folder / "config.json").unlink()
    with pytest.raises(DeployError, match=r"holds no config\.json or config\.yaml"):
        own_model(str(folder))
    assert own_model("tiny") is None
    assert own_model("") is None


def test_a_checkpoint_of_toy_size_of_each_kind_is_one() -> None:
    for name in ("grounding-dino", "sam", "sam2"):
        model = own_model(str(REPOSITORY / "toy" / name))
        assert model is not None
        assert model.place == f"/opt/promptable/weights/{model.name}"
