"""The same command again: what nobody has touched is left alone, and whatever somebody did to it is undone."""

from pathlib import Path

import pytest
import yaml

from promptable.deploy.nuclio import Nuclio
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rollout import smoke
from promptable.deploy.rollout.smoke import Timing
from tests.deploy.conftest import Answering
from tests.deploy.machine import Machine, image_of, nuclio_answers


@pytest.fixture
def stored(machine: Machine) -> Path:
    """What Nuclio has of the tracker, which is deployed."""
    assert machine.deploy("sam2-tracker", "--cpu").status == 0
    return machine.folder / "nuclio.sam2-tracker"


def _deploys_again(machine: Machine) -> bool:
    """Whether the same command does, which says so if it does not."""
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 0, outcome.err
    assert "being deployed already" not in outcome.out
    again = bool(machine.calls("nuctl deploy"))
    assert again is ("unchanged and ready: left alone" not in outcome.out)
    return again


def _change(stored: Path, part: str, **changes: object) -> None:
    """Somebody writes these keys of ``metadata``, ``spec`` or ``status``."""
    document = yaml.safe_load(stored.read_text())
    document[part] |= changes
    stored.write_text(yaml.safe_dump(document, sort_keys=False))


def test_what_nuclio_fills_in_is_no_change(machine: Machine, stored: Path) -> None:
    assert "targetCPU" in stored.read_text()
    assert not _deploys_again(machine)


@pytest.mark.parametrize(
    "change",
    [
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"securityContext": {"runAsUser": 0}},
        {"tolerations": [{"key": "k", "operator": "Exists"}]},
        {"env": []},
        {"eventTimeout": "1s"},
        {"loggerSinks": []},
        {"aKeyOfALaterNuclio": 1},
    ],
)
def test_what_somebody_changed_or_added_is_undone(machine: Machine, stored: Path, change: dict[str, object]) -> None:
    _change(stored, "spec", **change)
    assert _deploys_again(machine)
    assert not _deploys_again(machine)


def test_what_nuclio_counts_and_stamps_is_no_change(machine: Machine, stored: Path) -> None:
    _change(stored, "metadata", resourceVersion="2147", labels={"nuclio.io/project-name": "cvat"})
    _change(stored, "spec", imageHash="1795798711559164331", build={"functionConfigPath": "another.yaml"})
    _change(stored, "status", logs=[{"message": "Function deploy complete"}])
    assert not _deploys_again(machine)


def test_what_failed_and_was_taken_back_leaves_no_change(machine: Machine, stored: Path) -> None:
    machine.built_bad()
    assert "the one before runs again" in machine.deploy("sam2-tracker", "--cpu").err
    machine.built("0123456789abcdef")
    assert not _deploys_again(machine)


def test_what_answers_wrongly_is_deployed_again(
    machine: Machine, stored: Path, answering: tuple[Answering, ...]
) -> None:
    answering[2].answer = {"shapes": [], "states": []}
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "sam2-tracker runs, but expected one entry in 'shapes'" in outcome.out
    assert machine.calls("nuctl deploy")


def test_what_was_deployed_without_such_a_memory_is_deployed_once_more(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    (machine.remembered / "sam2-tracker.reported.yaml").unlink()
    assert _deploys_again(machine)
    assert not _deploys_again(machine)
    machine.start("rollback", "sam2-tracker")
    assert [image_of(deployed) for deployed in machine.deployed()] == ["promptable-sam2-tracker:cpu-aaaaaaaaaaaa"]


def test_what_somebody_changes_while_it_is_checked_is_a_change(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(*_: object) -> Timing:
        _change(stored, "spec", eventTimeout="1s")
        return Timing(1, 1)

    machine.built("bbbbbbbbbbbbbbbb")
    with monkeypatch.context() as patch:
        patch.setattr(smoke, "call_twice", called)
        assert machine.deploy("sam2-tracker", "--cpu").status == 0
    assert _deploys_again(machine)


def test_what_nuclio_does_not_say_is_not_taken_for_what_it_said_before(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _change(stored, "spec", eventTimeout="1s")
    with monkeypatch.context() as patch:
        nuclio_answers(patch, times=2)
        assert _deploys_again(machine)
    assert _deploys_again(machine)


def test_somebody_elses_version_is_never_taken_for_what_was_left(
    machine: Machine, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were faster than the question what Nuclio has made of ours."""
    get = Nuclio.get

    def replaced(nuclio: Nuclio, function: str) -> Reported | None:
        if machine.calls("nuctl deploy"):
            stored.write_text(stored.read_text().replace("cpu-bbbbbbbbbbbb", "cpu-eeeeeeeeeeee"))
        return get(nuclio, function)

    machine.built("bbbbbbbbbbbbbbbb")
    with monkeypatch.context() as patch:
        patch.setattr(Nuclio, "get", replaced)
        assert "somebody else has deployed it meanwhile" in machine.deploy("sam2-tracker", "--cpu").err
    assert _deploys_again(machine)
