"""Ctrl-C in the middle of a deployment: the version that nobody has tested is not taken for the one before."""

from collections.abc import Callable

import pytest

from promptable.deploy.rollout import smoke
from tests.deploy.machine import Machine, image_of

INTERRUPTED = 130
FIRST, SECOND, THIRD = ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc")


@pytest.fixture
def deploy(machine: Machine) -> Callable[[str], int]:
    """Build an image with this id, deploy the tracker with it; the exit status."""

    def run(image: str) -> int:
        machine.built(image.ljust(16, "0"))
        return machine.deploy("sam2-tracker", "--cpu").status

    return run


@pytest.fixture
def interrupt(deploy: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The same, with Ctrl-C while the requests run that check it."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def run(image: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(smoke, "call_twice", stop)
            assert deploy(image) == INTERRUPTED

    return run


def _images(machine: Machine) -> list[str]:
    return [image_of(deployed).rpartition("-")[2] for deployed in machine.deployed()]


def test_what_ran_before_the_interruption_is_brought_back(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    deploy(FIRST)
    interrupt(SECOND)
    machine.answer(f"nuctl deploy .*cpu-{THIRD}", status=1)
    assert deploy(THIRD) == 1
    assert _images(machine) == [THIRD, FIRST]


def test_somebody_elses_version_is_brought_back_too(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    deploy(FIRST)
    machine.forget_state()
    interrupt(SECOND)
    machine.answer(f"nuctl deploy .*cpu-{THIRD}", status=1)
    assert deploy(THIRD) == 1
    assert _images(machine) == [THIRD, FIRST]


def test_a_first_version_that_was_interrupted_and_fails_is_removed(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    interrupt(FIRST)
    machine.answer(f"nuctl deploy .*cpu-{SECOND}", status=1)
    assert deploy(SECOND) == 1
    assert _images(machine) == [SECOND]
    assert machine.calls("nuctl delete function sam2-tracker")


def test_the_same_command_again_deploys_it_again_and_remembers_it(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    deploy(FIRST)
    interrupt(SECOND)
    assert deploy(SECOND) == 0
    assert _images(machine) == [SECOND], "nobody knows what was changed since nuctl began"
    deploy(THIRD)
    machine.start("rollback", "sam2-tracker")
    assert _images(machine) == [SECOND]


def test_after_it_worked_there_is_nothing_left_to_come_back_to(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    deploy(FIRST)
    interrupt(SECOND)
    deploy(SECOND)
    machine.answer(f"nuctl deploy .*cpu-{THIRD}", status=1)
    assert deploy(THIRD) == 1
    assert _images(machine) == [THIRD, SECOND]


def test_what_somebody_else_deployed_after_the_interruption_counts(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    interrupt(FIRST)
    kept = {file.name: file.read_text() for file in machine.remembered.iterdir()}
    machine.forget_state()
    deploy(SECOND)
    machine.forget_state()
    for name, text in kept.items():
        (machine.remembered / name).write_text(text)
    machine.answer(f"nuctl deploy .*cpu-{THIRD}", status=1)
    assert deploy(THIRD) == 1
    assert _images(machine) == [THIRD, SECOND]


def test_an_interrupted_rollback_goes_to_the_same_version_again(
    machine: Machine, deploy: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(FIRST)
    deploy(SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(smoke, "call_twice", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert machine.start("rollback", "sam2-tracker").status == INTERRUPTED
    for expected in (FIRST, SECOND):
        assert machine.start("rollback", "sam2-tracker").status == 0
        assert _images(machine) == [expected]


def test_rollback_after_an_interruption_goes_one_version_back(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    deploy(FIRST)
    deploy(SECOND)
    interrupt(THIRD)
    for expected in (SECOND, FIRST):
        assert machine.start("rollback", "sam2-tracker").status == 0
        assert _images(machine) == [expected]


def test_the_image_of_what_was_interrupted_goes_with_the_next_version(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    deploy(FIRST)
    interrupt(SECOND)
    deploy(THIRD)
    assert machine.dropped() == [f"promptable-sam2-tracker:cpu-{SECOND}"]


def test_what_was_removed_does_not_come_back_after_a_version_that_fails(
    machine: Machine, deploy: Callable[[str], int]
) -> None:
    deploy(FIRST)
    machine.start("remove", "sam2-tracker")
    machine.answer(f"nuctl deploy .*cpu-{SECOND}", status=1)
    assert deploy(SECOND) == 1
    assert _images(machine) == [SECOND]
    assert machine.calls("nuctl delete function sam2-tracker")
    machine.start("rollback", "sam2-tracker")
    assert _images(machine) == [FIRST]


def test_what_was_removed_is_the_version_before_of_what_comes_then(
    machine: Machine, deploy: Callable[[str], int]
) -> None:
    deploy(FIRST)
    machine.start("remove", "sam2-tracker")
    deploy(SECOND)
    machine.start("rollback", "sam2-tracker")
    assert _images(machine) == [FIRST]


def test_rollback_brings_back_what_was_removed(machine: Machine, deploy: Callable[[str], int]) -> None:
    deploy(FIRST)
    deploy(SECOND)
    machine.start("remove", "sam2-tracker")
    for expected in (SECOND, FIRST):
        assert machine.start("rollback", "sam2-tracker").status == 0
        assert _images(machine) == [expected]


def test_rollback_without_names_leaves_what_was_removed(machine: Machine, deploy: Callable[[str], int]) -> None:
    deploy(FIRST)
    deploy(SECOND)
    machine.start("remove", "sam2-tracker")
    assert machine.start("rollback").status == 1
    assert machine.changes() == []


def test_remove_ends_what_was_interrupted(
    machine: Machine, deploy: Callable[[str], int], interrupt: Callable[[str], None]
) -> None:
    deploy(FIRST)
    interrupt(SECOND)
    machine.start("remove", "sam2-tracker")
    assert {file.name for file in machine.remembered.iterdir()} == {
        "build.log",
        "lock",
        "sam2-tracker.current.yaml",
        "sam2-tracker.reported.yaml",
    }
