"""What ran before comes back: by itself after a version that does not work, and by rollback."""

import shutil
from pathlib import Path

import pytest

from tests.deploy.conftest import Answering
from tests.deploy.machine import Machine, image_of, nuclio_answers


@pytest.mark.parametrize("container", ["NEW restarting 2 unhealthy", "NEW exited 0 ", "NEW running 1 healthy"])
def test_a_container_that_crashes_is_given_up_at_once_and_the_one_before_comes_back(
    machine: Machine, container: str
) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built_bad(container=container, seconds=30)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "not deployed: sam2-tracker: its container has crashed" in outcome.err, "nuctl would have waited on"
    assert "the container's own log" in outcome.out
    assert [image_of(deployed) for deployed in machine.deployed()] == [
        "promptable-sam2-tracker:cpu-bad0bad0bad0",
        "promptable-sam2-tracker:cpu-0123456789ab",
    ]
    assert "restored" in outcome.out


def test_a_wrong_answer_brings_the_one_before_back(machine: Machine, answering: tuple[Answering, ...]) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    answering[2].answer = {"shapes": [], "states": []}
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "expected one entry in 'shapes'" in outcome.err
    assert image_of(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-0123456789ab"


def test_a_first_deployment_that_fails_leaves_nothing_that_restarts_for_ever(machine: Machine) -> None:
    machine.answer("nuctl deploy", status=1)
    assert machine.deploy("sam2-tracker", "--cpu").status == 1
    assert machine.calls("nuctl delete function sam2-tracker")
    assert machine.dropped() == ["promptable-sam2-tracker:cpu-0123456789ab"], "nobody will come back to it"


def test_one_that_cannot_be_removed_either_is_said(machine: Machine) -> None:
    machine.answer("nuctl deploy", status=1)
    machine.answer("nuctl delete", err="connection refused", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "sam2-tracker could not be removed: connection refused" in outcome.err


def test_the_crash_of_the_failed_one_is_not_taken_for_one_of_what_comes_back(machine: Machine) -> None:
    """Its container is there until Nuclio has made another one."""
    machine.deploy("sam2-tracker", "--cpu")
    machine.answer("nuctl deploy", container="crashed exited 1 ", seconds=1.5)
    machine.built_bad(container="crashed exited 1 ")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "the one before does not come up either (nuctl is done, and the container is not healthy)" in outcome.err


def test_rollback_and_forward_again(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    for expected in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        outcome = machine.start("rollback", "sam2-tracker")
        assert outcome.status == 0, outcome.err
        assert str(machine.ports[2]) in outcome.out, "the port that it had, not function.yaml's"
        assert [image_of(deployed) for deployed in machine.deployed()] == [f"promptable-sam2-tracker:cpu-{expected}"]


def test_a_rollback_that_fails_leaves_the_present_one(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    machine.answer("nuctl deploy .*cpu-aaaaaaaaaaaa", status=1)
    outcome = machine.start("rollback", "sam2-tracker")
    assert outcome.status == 1
    assert "the one before runs again" in outcome.err
    assert image_of(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-bbbbbbbbbbbb"


def test_rollback_of_a_first_deployment_says_so(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    outcome = machine.start("rollback", "sam2-tracker")
    assert outcome.status == 1
    assert "nothing was deployed before" in outcome.err
    assert "no function that runs" not in outcome.err, "of all that were not named"
    assert machine.changes() == []


def test_what_somebody_else_deployed_is_brought_back(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.forget_state()
    machine.built_bad()
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert machine.calls("nuctl delete") == []
    assert image_of(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-0123456789ab"
    assert "build" not in str(machine.deployed()[-1])
    assert "the one before runs again" in outcome.err


def test_what_somebody_else_deployed_can_be_rolled_back_to(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.forget_state()
    machine.built("bbbbbbbbbbbbbbbb")
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.start("rollback", "sam2-tracker").status == 0
    assert image_of(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-0123456789ab"


def test_what_somebody_else_had_deployed_just_so_is_no_version_before(machine: Machine, tmp_path: Path) -> None:
    machine.deploy_tracker("a")
    own = machine.remembered.rename(tmp_path / "own")
    machine.deploy_tracker("b")
    shutil.rmtree(machine.remembered)
    own.rename(machine.remembered)
    machine.deploy_tracker("b")
    assert machine.start("rollback", "sam2-tracker").status == 0
    assert image_of(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-aaaaaaaaaaaa"


def test_rollback_from_what_somebody_else_deployed_goes_to_ones_own(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    stored = machine.folder / "nuclio.sam2-tracker"
    stored.write_text(stored.read_text().replace("cpu-bbbbbbbbbbbb", "cpu-eeeeeeeeeeee"))
    for expected in ("bbbbbbbbbbbb", "eeeeeeeeeeee"):
        assert machine.start("rollback", "sam2-tracker").status == 0
        assert image_of(machine.deployed()[-1]) == f"promptable-sam2-tracker:cpu-{expected}"


def test_a_version_before_that_does_not_come_up_either(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "the one before does not come up either" in outcome.err
    row = outcome.out.splitlines()[-1].split()
    assert row[0] == "sam2-tracker"
    assert row[5] == "down"
    assert "restored" not in outcome.out


def test_the_one_before_comes_back_though_the_log_cannot_be_kept(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built_bad()
    (machine.remembered / "sam2-tracker.failed.new").mkdir()
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "sam2-tracker's log, not kept, since" in outcome.out
    assert "| the container's own log" in outcome.out
    assert "the one before runs again" in outcome.err


def test_the_one_before_comes_back_though_nuclio_says_nothing_of_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built_bad()
    nuclio_answers(monkeypatch, times=2)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "the one before runs again" in outcome.err


def test_rollback_without_names_takes_those_with_a_version_before(machine: Machine) -> None:
    machine.deploy("--cpu")
    machine.built("bbbbbbbbbbbbbbbb")
    machine.deploy("sam2-tracker", "--cpu")
    machine.deploy("sam-interactor", "--cpu")
    machine.answer("nuctl deploy sam-interactor .*cpu-0123456789ab", status=1)
    outcome = machine.start("rollback")
    assert outcome.status == 1
    assert [call.split()[2] for call in machine.calls("nuctl deploy")] == ["sam-interactor"] * 2 + ["sam2-tracker"]
    assert outcome.out.splitlines()[-2].split()[5] == "restored"
    assert "the one before runs again" in outcome.err


def test_rollback_without_names_and_without_a_version_before(machine: Machine) -> None:
    machine.deploy("--cpu")
    outcome = machine.start("rollback")
    assert outcome.status == 1
    assert "no function that runs has a previous version" in outcome.err
    assert machine.changes() == []


def test_the_image_of_a_version_that_fails_goes_once_its_container_has_gone(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built_bad()
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.dropped() == ["promptable-sam2-tracker:cpu-bad0bad0bad0"]
    order = [
        call for call in machine.calls() if call.startswith(("nuctl deploy", "docker rmi promptable-sam2-tracker:cpu"))
    ]
    assert order[-1].startswith("docker rmi"), "while its container is there Docker keeps it"


def test_the_table_after_a_rollback_has_the_redis_of_what_runs(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu", "--redis", "redis:6379")
    machine.deploy("sam2-tracker", "--cpu")
    for expected in ("redis", "-"):
        assert machine.start("rollback", "sam2-tracker").out.splitlines()[-1].split()[4] == expected


def test_the_table_after_a_failed_deployment_has_the_redis_of_what_runs(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu", "--redis", "before:6379")
    machine.built_bad()
    row = machine.deploy("sam2-tracker", "--cpu", "--redis", "asked:6379").out.splitlines()[-1]
    assert row.split()[4:6] == ["before", "restored"]


def test_bringing_back_is_not_called_stuck(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built_bad(state="building")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "stuck in an earlier deployment" not in outcome.out
    assert [call.split()[1] for call in machine.calls("nuctl d")] == ["deploy", "delete", "deploy"]
    assert "the one before runs again" in outcome.err
