"""What is remembered of the deployments, and a folder that cannot be written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.conftest import Answering
from tests.deploy.machine import Machine, Outcome


def test_a_state_that_cannot_be_written_is_said(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bbbbbbbbbbbbbbbb")
    (machine.remembered / "sam2-tracker.current.new").mkdir()
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
    assert (machine.remembered).stat().st_mode & 0o777 == 0o700


def test_a_version_that_runs_and_cannot_be_remembered_says_what_to_do(machine: Machine) -> None:
    folder = machine.remembered
    (folder / "sam2-tracker.current.new").mkdir(parents=True)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert f"sam2-tracker runs, but rollback would not know it: {folder} cannot be written" in outcome.err
    assert "not deployed" not in outcome.err
    assert f"let this user write to {folder}" in outcome.err


@pytest.fixture
def kube(machine: Machine, answering: tuple[Answering, ...]) -> Callable[..., Outcome]:
    """deploy.sh on the tracker in a cluster."""
    machine.answer("kubectl .*port-forward", str(answering[2].server_port))
    machine.answer("kubectl .*get pods -l nuclio.io/function-name=sam2-tracker", "\nnuclio-sam2-tracker-LATEST\t")
    machine.answer("kubectl .*get deployment/nuclio-sam2-tracker", "3/3/1/1/1")
    where = ("--platform", "kube", "--registry", "registry/cvat")
    return lambda *words: machine.start(*words, "sam2-tracker", *where, *([] if words else ["--cpu"]))


def _go_to_another_cluster(machine: Machine) -> None:
    machine.answer(r"kubectl get namespace .*\.metadata\.uid", "0a1b2c3d-0000-4000-8000-000000000000")
    (machine.folder / "nuclio.sam2-tracker").unlink()


def test_what_was_deployed_in_a_cluster_is_not_put_into_another(machine: Machine, kube: Callable[..., Outcome]) -> None:
    for image in ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"):
        machine.built(image)
        assert kube().status == 0
    _go_to_another_cluster(machine)
    outcome = kube("rollback")
    assert "nothing was deployed before the present sam2-tracker" in outcome.err
    assert machine.changes() == []


def test_what_ran_in_another_cluster_does_not_come_back_in_this_one(
    machine: Machine, kube: Callable[..., Outcome]
) -> None:
    assert kube().status == 0
    _go_to_another_cluster(machine)
    machine.built_bad()
    assert "nothing ran before" in kube().err
    assert len(machine.deployed()) == 1


def test_another_engine_has_a_state_of_its_own(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    machine.answer(r"docker info .*\.ID", "QGVX:7LZQ/odd")
    assert machine.start("rollback", "sam2-tracker").status == 1
    assert machine.changes() == []
    assert (machine.remembered.parent / "local-nuclio-QGVX-7LZQ-odd" / "lock").is_file()


def test_a_version_whose_image_is_gone_does_not_replace_one_that_works(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    machine.answer("docker image inspect promptable-sam2-tracker:cpu-aaaaaaaaaaaa", status=1, err="No such image")
    outcome = machine.start("rollback", "sam2-tracker")
    assert outcome.status == 1
    assert "promptable-sam2-tracker:cpu-aaaaaaaaaaaa, which was before" in outcome.err
    assert machine.changes() == []


def test_a_user_whom_the_system_does_not_know_learns_what_to_set(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(machine, "environment", lambda: Machine.environment(machine) | {"XDG_STATE_HOME": ""})
    outcome = machine.start("rollback", "sam2-tracker")
    assert outcome.status == 1
    assert "export XDG_STATE_HOME=DIR" in outcome.err
    assert "Traceback" not in outcome.err


def test_remove_goes_on_after_a_function_that_stays(machine: Machine) -> None:
    machine.answer("nuctl delete function grounding-dino", status=1, err="connection refused")
    outcome = machine.start("remove")
    assert outcome.status == 1
    assert "nuctl delete function grounding-dino failed: connection refused" in outcome.err
    assert len(machine.calls("nuctl delete")) == 3
