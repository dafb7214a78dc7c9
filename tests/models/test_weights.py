"""Weights are found by name or folder, verified, and never unpickled into code."""

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from promptable.models import catalogue
from promptable.models.catalogue import OFFICIAL
from promptable.models.download import download
from promptable.models.errors import ModelError
from promptable.models.runtime.device import resolve
from promptable.models.weights import fingerprint, load_state_dict, locate


def test_an_official_name_lies_in_the_weights_folder(tmp_path: Path) -> None:
    (tmp_path / "sam_vit_b_01ec64.pth").touch()
    files = locate("vit_b", tmp_path)
    assert files.weights == tmp_path / "sam_vit_b_01ec64.pth"
    assert (files.name, files.config, files.sha256) == ("vit_b", None, OFFICIAL["vit_b"].sha256)


def test_a_missing_official_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"sam2\.1_hiera_large\.pt is missing: promptable download sam2"):
        locate("sam2.1-large", tmp_path)


def test_a_folder_is_a_model_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"config\.json, config\.yaml"):
        locate(str(folder), tmp_path)
    (folder / "config.yaml").touch()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        locate(str(folder), tmp_path)
    (folder / "model.safetensors").touch()
    files = locate(str(folder), tmp_path)
    assert (files.name, files.folder, files.config, files.sha256) == ("mine", folder, folder / "config.yaml", None)


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"vit_z.*swin-t"):
        locate("vit_z", tmp_path)


def test_safetensors_and_pickled_tensors_are_read_as_float32(tmp_path: Path) -> None:
    tensors = {"weight": torch.tensor([1.5, -2.0], dtype=torch.float16), "count": torch.tensor(3)}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save({"model": tensors}, tmp_path / "b.pth")
    torch.save(tensors, tmp_path / "c.pt")
    torch.save(tensors, tmp_path / "d.pt", _use_new_zipfile_serialization=False)  # which cannot be mapped
    for name in ("a.safetensors", "b.pth", "c.pt", "d.pt"):
        loaded = load_state_dict(tmp_path / name)
        assert loaded["weight"].tolist() == [1.5, -2.0]
        assert (loaded["weight"].dtype, loaded["count"].dtype) == (torch.float32, torch.int64)


def test_a_wrong_hash_is_refused_and_the_right_one_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    right = sha256(path.read_bytes()).hexdigest()
    assert "weight" in load_state_dict(path, right)
    with pytest.raises(ValueError, match="SHA-256"):
        load_state_dict(path, "0" * 64)


def test_a_fingerprint_tells_weights_configurations_and_numbers_apart(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("weights", "other", "config", "changed")]
    for file in files:
        file.write_text(file.name)
    weights, other, config, changed = files
    named = [fingerprint(weights), fingerprint(other), fingerprint(weights, config), fingerprint(weights, changed)]
    named += [fingerprint(weights, config, numbers) for numbers in ("torch.float32", "torch.bfloat16")]
    assert len(set(named)) == len(named)
    assert fingerprint(weights, config) == fingerprint(weights, config)
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in named)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled code ran",)


def test_a_pickle_with_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"model": Evil()}, path)
    with pytest.raises(ModelError, match=r"evil\.pth is damaged, or holds something other than tensors") as raised:
        load_state_dict(path)
    assert "weights_only" not in str(raised.value), "nor how to run it"
    assert "unpickled code ran" not in capsys.readouterr().out


def test_what_is_there_is_kept_if_it_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = sha256(b"weights").hexdigest()
    sources = {"vit_b": replace(OFFICIAL["vit_b"], sha256=digest)}
    monkeypatch.setattr(catalogue, "OFFICIAL", sources)
    file = tmp_path / sources["vit_b"].file_name
    file.write_bytes(b"weights")
    assert download("vit_b", tmp_path) == [file]
    file.write_bytes(b"broken")
    with pytest.raises(ValueError, match="damaged"):
        download("vit_b", tmp_path)
    with pytest.raises(ValueError, match=r"vit_z.*vit_b"):
        download("vit_z", tmp_path)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\xff" * 100])
def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        load_state_dict(path)


@pytest.mark.parametrize("record", ["", "none\n", f"{'0' * 63}  llmdet_tiny.safetensors\n"])
def test_a_record_without_a_checksum_is_named_and_not_taken_for_none(tmp_path: Path, record: str) -> None:
    checkpoint = OFFICIAL["llmdet-tiny"]
    assert checkpoint.sha256 is None
    (tmp_path / checkpoint.file_name).write_bytes(b"weights")
    (tmp_path / checkpoint.record_name).write_text(record)
    for read in (locate, download):
        with pytest.raises(ModelError, match=rf"{checkpoint.record_name} holds no SHA-256"):
            read("llmdet-tiny", tmp_path)


@pytest.mark.parametrize("form", ["{}  llmdet_tiny.safetensors\n", "{} *llmdet_tiny.safetensors\n", "{}\n", "{}"])
def test_a_record_of_a_checksum_is_read_with_and_without_the_files_name(tmp_path: Path, form: str) -> None:
    checkpoint = OFFICIAL["llmdet-tiny"]
    digest = sha256(b"weights").hexdigest()
    (tmp_path / checkpoint.record_name).write_text(form.format(digest.upper()))
    assert checkpoint.expected_sha256(tmp_path) == digest


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (resolve("auto"), resolve("cpu")) == ("cpu", "cpu")
    with pytest.raises(ModelError, match="PyTorch sees no GPU"):
        resolve("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (resolve("auto"), resolve("cuda:1")) == ("cuda", "cuda:1")
    with pytest.raises(ModelError, match=r"'cuda:2' is asked for, but PyTorch sees 2 GPUs, counted from cuda:0"):
        resolve("cuda:2")
