"""The commands of ``promptable`` that no other test runs."""

from pathlib import Path

import pytest
import torch

from promptable.cli.main import main


def test_an_unknown_model_is_refused_with_the_known_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "vit_z", "--weights", str(tmp_path)]) == 1
    assert "vit_z" in (message := capsys.readouterr().err)
    assert "sam2.1-large" in message


def test_a_broken_download_is_reported_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("invalid hash value")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    assert main(["download", "vit_b", "--weights", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "promptable download: invalid hash value\n"


def test_downloaded_files_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda _, target, **__: Path(target).touch())
    assert main(["download", "swin-t", "--weights", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "groundingdino_swint_ogc.pth"),
        str(tmp_path / "vocab.txt"),
    ]


def test_without_a_command_the_help_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "command" in capsys.readouterr().err
