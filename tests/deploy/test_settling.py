"""Two admins at once: what somebody else is deploying is watched, and what they have done is not called one's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from promptable.deploy.rollout import settling, smoke
from promptable.deploy.rollout.smoke import Timing
from tests.deploy.conftest import Answering
from tests.deploy.machine import CLUSTER, Machine, Outcome, image_of, nuclio_answers

FIRST, SECOND = "a" * 12, "b" * 12
KUBE = ("--platform", "kube", "--registry", "registry/cvat", "--cpu")


@pytest.fixture
def stored(machine: Machine) -> Path:
    """What Nuclio has of the tracker, whose first version is deployed."""
    machine.built(FIRST)
    assert machine.deploy("sam2-tracker", "--cpu").status == 0
    machine.built(SECOND)
    return machine.folder / "nuclio.sam2-tracker"


def _change(stored: Path, old: str, new: str) -> None:
    stored.write_text(stored.read_text().replace(old, new))


def _while_waiting(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    monkeypatch.setattr(settling, "sleep", lambda _: happens())


def _while_it_is_checked(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    def called(*_: object) -> Timing:
        happens()
        return Timing(1, 1)

    monkeypatch.setattr(smoke, "call_twice", called)


def _interrupt(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Outcome]) -> None:
    """Ctrl-C while a run checks what it has deployed."""

    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        _while_it_is_checked(patch, stop)
        assert run().status == 130


def _images(machine: Machine) -> list[str]:
    return [image_of(deployed).rpartition("-")[2] for deployed in machine.deployed()]


def test_what_somebody_else_is_deploying_is_waited_for(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _change(stored, "state: ready", "state: building")
    machine.forget_state()
    _while_waiting(monkeypatch, lambda: _change(stored, "state: building", "state: ready"))
    machine.answer(f"nuctl deploy .*cpu-{SECOND}", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "is being deployed already, by somebody else" in outcome.out
    assert "waiting up to 120 s" in outcome.out
    assert machine.calls("nuctl delete") == []
    assert _images(machine) == [SECOND, FIRST], "theirs works, and comes back"


def test_in_a_cluster_somebody_else_has_time_to_pull_an_image(
    machine: Machine, answering: tuple[Answering, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.answer("kubectl .*port-forward", str(answering[2].server_port))
    assert machine.start("sam2-tracker", *KUBE).status == 0
    machine.remembered.with_name(f"kube-cvat-{CLUSTER}").rename(machine.folder / "another-machine")
    stored = machine.folder / "nuclio.sam2-tracker"
    _change(stored, "state: ready", "state: building")
    _while_waiting(monkeypatch, lambda: _change(stored, "state: building", "state: ready"))
    assert "waiting up to 600 s" in machine.start("sam2-tracker", *KUBE).out


def test_what_nobody_brings_to_its_end_is_stuck(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _change(stored, "state: ready", "state: building")
    machine.forget_state()
    hours = iter(range(0, 100_000, 3600))
    monkeypatch.setattr(settling, "monotonic", lambda: next(hours))
    _while_waiting(monkeypatch, lambda: None)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 0, outcome.err
    assert "sam2-tracker is stuck in an earlier deployment: cleared" in outcome.out
    assert [call.split()[1] for call in machine.calls("nuctl d")] == ["delete", "deploy"]


def test_what_one_interrupted_oneself_is_cleared_at_once(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Docker nobody goes on with it."""
    _interrupt(monkeypatch, lambda: machine.deploy("sam2-tracker", "--cpu"))
    _change(stored, "state: ready", "state: building")
    _while_waiting(monkeypatch, lambda: pytest.fail("for whom?"))
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "is stuck in an earlier deployment: cleared" in outcome.out
    assert "waiting up to" not in outcome.out
    assert [call.split()[1] for call in machine.calls("nuctl d")] == ["delete", "deploy"]


def test_what_somebody_else_deploys_after_ones_own_interruption_is_theirs(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupt(monkeypatch, lambda: machine.deploy("sam2-tracker", "--cpu"))
    _change(stored, f"cpu-{SECOND}", "cpu-eeeeeeeeeeee")
    _change(stored, "state: ready", "state: building")
    _while_waiting(monkeypatch, lambda: _change(stored, "state: building", "state: ready"))
    assert "is being deployed already, by somebody else" in machine.deploy("sam2-tracker", "--cpu").out


def test_in_a_cluster_what_was_interrupted_comes_to_its_end_by_itself(
    machine: Machine, answering: tuple[Answering, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.answer("kubectl .*port-forward", str(answering[2].server_port))
    machine.answer("kubectl .*get deployment/nuclio-sam2-tracker", "3/3/1/1/1")
    _interrupt(monkeypatch, lambda: machine.start("sam2-tracker", *KUBE))
    stored = machine.folder / "nuclio.sam2-tracker"
    _change(stored, "state: ready", "state: waitingForResourceConfiguration")
    _while_waiting(monkeypatch, lambda: _change(stored, "state: waitingForResourceConfiguration", "state: ready"))
    outcome = machine.start("sam2-tracker", *KUBE)
    assert "by a run that was interrupted: waiting up to 60 s" in outcome.out
    assert [call.split()[1] for call in machine.calls("nuctl d")] == ["deploy"], "nothing is stuck"


@pytest.mark.parametrize(
    ("somebody", "how"),
    [
        (lambda stored: stored.unlink(), "removed"),
        (lambda stored: _change(stored, f"cpu-{SECOND}", "cpu-eeeeeeeeeeee"), "deployed"),
    ],
)
def test_what_is_not_there_any_more_at_the_end_is_no_success(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch, somebody: Callable[[Path], object], how: str
) -> None:
    _while_it_is_checked(monkeypatch, lambda: somebody(stored))
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert f"somebody else has {how} it meanwhile" in outcome.err
    assert "agree with whoever else deploys here" in outcome.err


def test_a_version_that_fails_does_not_replace_what_somebody_else_deployed_meanwhile(
    machine: Machine, stored: Path, answering: tuple[Answering, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Timing:
        _change(stored, f"cpu-{SECOND}", "cpu-eeeeeeeeeeee")
        raise smoke.SmokeError("it broke off")

    monkeypatch.setattr(smoke, "call_twice", fail)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "somebody else has deployed it meanwhile, which stays" in outcome.err
    assert _images(machine) == [SECOND]
    assert machine.dropped() == [f"promptable-sam2-tracker:cpu-{SECOND}"]


def test_a_version_that_fails_replaces_the_one_before_though_somebody_else_brought_that_back(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Timing:
        _change(stored, f"cpu-{SECOND}", f"cpu-{FIRST}")
        raise smoke.SmokeError("it broke off")

    monkeypatch.setattr(smoke, "call_twice", fail)
    assert "the one before runs again" in machine.deploy("sam2-tracker", "--cpu").err
    assert _images(machine) == [SECOND, FIRST]


def test_nothing_is_deployed_where_nuclio_does_not_say_what_it_has(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nuclio_answers(monkeypatch, times=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "not deployed: sam2-tracker: connection refused" in outcome.err
    assert machine.deployed() == []
