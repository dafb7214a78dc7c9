"""What is remembered of the deployments, and a folder that cannot be written."""

from pathlib import Path

from tests.deploy.machine import Machine


def test_a_state_that_cannot_be_written_is_said(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bbbbbbbbbbbbbbbb")
    (tmp_path / "state" / "promptable" / "local-nuclio" / "sam2-tracker.current.new").mkdir()
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "rollback would not know it" in outcome.err
    assert len(machine.calls("nuctl deploy")) == 1, "it runs, and stays"


def test_a_folder_that_cannot_be_written_is_a_sentence(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "state" / "promptable").write_text("in the way")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert f"{tmp_path}/state/promptable" in outcome.err
    assert "Not a directory" in outcome.err or "File exists" in outcome.err
    assert "Traceback" not in outcome.err


def test_what_is_remembered_is_for_this_users_eyes(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    assert (tmp_path / "state" / "promptable" / "local-nuclio").stat().st_mode & 0o777 == 0o700


def test_a_version_that_runs_and_cannot_be_remembered_says_what_to_do(machine: Machine) -> None:
    folder = machine.folder / "state" / "promptable" / "local-nuclio"
    (folder / "sam2-tracker.current.new").mkdir(parents=True)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert f"sam2-tracker runs, but rollback would not know it: {folder} cannot be written" in outcome.err
    assert "not deployed" not in outcome.err
    assert f"let this user write to {folder}" in outcome.err
