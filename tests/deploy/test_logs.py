"""``logs`` and ``status``, what they need, and the log of a version that does not work."""

import signal
import time

import pytest

from tests.deploy.conftest import Answering
from tests.deploy.machine import Machine


def test_logs_end_with_ctrl_c_and_speak_of_no_deployment(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.answer("docker logs", seconds=60)
    process = machine.script("logs", "sam2-tracker")
    while not machine.calls("docker logs"):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 130
    assert err == ""


def test_status_logs_and_remove(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    assert "running" in machine.start("status", "sam2-tracker").out
    assert "the container's own log" in machine.start("logs", "sam2-tracker").out
    assert machine.start("remove", "sam2-tracker").status == 0
    assert machine.changes() == ["nuctl delete function sam2-tracker --force --platform local --namespace nuclio"]


def test_logs_of_all_functions_name_theirs(machine: Machine) -> None:
    machine.deploy("--cpu")
    out = machine.start("logs").out
    for name in ("grounding-dino", "sam-interactor", "sam2-tracker"):
        assert f"{name} | the container's own log" in out


@pytest.mark.parametrize("action", ["status", "logs", "remove", "rollback"])
def test_without_docker_no_action_answers_none(machine: Machine, action: str) -> None:
    machine.answer("docker", err="Cannot connect to the Docker daemon", status=1)
    outcome = machine.start(action)
    assert outcome.status == 1
    assert "Docker is not reachable: Cannot connect" in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize("action", ["remove", "rollback"])
def test_without_nuctl_its_download_is_named(machine: Machine, action: str) -> None:
    machine.lacks("nuctl")
    outcome = machine.start(action)
    assert outcome.status == 1
    assert "nuctl is not installed" in outcome.err


def test_the_status_of_what_is_not_deployed(machine: Machine) -> None:
    row = machine.start("status", "sam2-tracker").out.splitlines()[-1].split()
    assert row == ["sam2-tracker", "none", "-", "-", "-", "-", "-"]


def test_status_shows_what_nuclio_tells_cvat(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    row = machine.start("status", "sam2-tracker").out.splitlines()[-1].split()
    assert row[0] == "sam2-tracker"
    assert row[-2:] == ["ready", str(machine.ports[2])]
    machine.answer("nuctl deploy", state="building")
    machine.built("bbbbbbbbbbbbbbbb")
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.start("status", "sam2-tracker").out.splitlines()[-1].split()[-2:] == ["building", "-"]


def test_a_wrong_answer_prints_and_keeps_the_log(machine: Machine, answering: tuple[Answering, ...]) -> None:
    answering[2].answer = {"shapes": [], "states": []}
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "| the container's own log" in outcome.out
    kept = machine.remembered / "sam2-tracker.failed.log"
    assert kept.read_text() == "the container's own log"
    assert str(kept) in outcome.err


def test_a_log_is_kept_without_a_terminals_colours(machine: Machine) -> None:
    machine.answer("nuctl deploy", status=1)
    machine.answer("docker logs", "\x1b[34m(I)\x1b[0m started")
    machine.deploy("sam2-tracker", "--cpu")
    kept = machine.remembered / "sam2-tracker.failed.log"
    assert kept.read_text() == "(I) started"


def test_no_log_is_promised_of_a_container_that_was_never_started(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    refused = "docker: Error response from daemon: no known GPU vendor found"
    machine.built_bad(err=refused, container="NEW created 0 ")
    machine.answer("docker logs", "")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert f"sam2-tracker does not work: {refused}" in outcome.out
    assert "sam2-tracker has no log: nothing of this version was started, or it wrote none" in outcome.out
    assert "remedy:  it has no log; what was said above shows what happened" in outcome.err
    assert "failed.log" not in outcome.err


def test_the_log_of_the_version_before_is_not_taken_for_that_of_the_failed_one(machine: Machine) -> None:
    machine.answer("nuctl deploy", container="before running 0 healthy")
    machine.deploy("sam2-tracker", "--cpu")
    machine.built_bad(container="before running 0 healthy")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "the container's own log" not in outcome.out
    assert "it has no log" in outcome.err


def test_a_log_that_cannot_be_kept_is_only_above(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built_bad()
    (machine.remembered / "sam2-tracker.failed.log").mkdir()
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "| the container's own log" in outcome.out
    assert "remedy:  its log is above\n" in outcome.err


def test_the_log_of_a_removed_container(machine: Machine) -> None:
    outcome = machine.start("logs", "sam2-tracker")
    assert outcome.status == 1
    assert "sam2-tracker has no container, and so no log" in outcome.err
