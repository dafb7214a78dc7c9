"""At the end CVAT's own container is asked what it sees of the functions, and what is wrong with that is warned of."""

import json

import pytest

from tests.deploy.machine import Machine


def _seen(state: str, port: str, error: str = "") -> str:
    """What CVAT sees of the tracker; PORT is the one that it has."""
    return json.dumps({"functions": {"sam2-tracker": {"state": state, "port": port, "error": error}}})


@pytest.mark.parametrize(
    ("said", "warning"),
    [
        (_seen("ready", "PORT", "timed out"), "cvat_server cannot connect to host.docker.internal:PORT (timed out)"),
        (_seen("building", "0"), "Nuclio tells CVAT that sam2-tracker is building on port 0, and it is on PORT"),
        ('{"functions": {}}', "Nuclio's dashboard does not list sam2-tracker for CVAT: docker logs nuclio"),
        ("Traceback", "CVAT's view of the functions could not be asked in cvat_server: Traceback"),
        (
            '{"error": "http://nuclio:8070/api/functions: refused"}',
            "Nuclio's dashboard does not answer CVAT, which shows no model: http://nuclio:8070",
        ),
    ],
)
def test_what_keeps_cvat_from_calling_is_warned_of(machine: Machine, said: str, warning: str) -> None:
    port = str(machine.ports[2])
    machine.answer("docker exec --interactive cvat_server", said.replace('"PORT"', port).replace('"0"', "0"))
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 0, "it runs"
    assert f"warning: {warning.replace('PORT', port)}" in outcome.err


def test_where_nothing_runs_cvat_is_not_asked(machine: Machine) -> None:
    machine.answer("nuctl deploy", status=1)
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.calls("docker exec --interactive") == []


def test_a_rollback_asks_cvat_too(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    outcome = machine.start("rollback", "sam2-tracker")
    assert machine.calls("docker exec --interactive cvat_server python3 - nuclio")
    assert "warning" not in outcome.err


def test_a_rollback_needs_no_cvat(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    machine.answer("docker ps .*(service=|name=.)cvat_server", "")
    assert machine.start("rollback", "sam2-tracker").status == 0
    assert machine.calls("docker exec --interactive") == []
