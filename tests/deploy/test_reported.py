"""What Nuclio says it runs."""

from typing import Any

import pytest
import yaml

from promptable.deploy.errors import DeployError
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import read

FUNCTION: dict[str, Any] = {
    "metadata": {"name": "sam2-tracker", "namespace": "nuclio", "annotations": {"type": "tracker", "spec": ""}},
    "spec": {
        "description": "Follows things",
        "handler": "main:handler",
        "env": [{"name": "PROMPTABLE_MODEL", "value": "sam2.1-tiny"}],
        "image": "an-image:gpu-1",
    },
}


def _said(state: str = "ready", port: int = 0, **spec: Any) -> str:
    metadata = FUNCTION["metadata"] | {"labels": {"nuclio.io/project-name": "cvat"}, "resourceVersion": "7"}
    spec = FUNCTION["spec"] | {"build": {"codeEntryType": "image"}, "imageHash": "1795798509812645449"} | spec
    status = {"state": state, "httpPort": port}
    config = yaml.safe_dump({"metadata": metadata, "spec": spec, "status": status})
    return f"25.11.25 12:00:00.000 (I) nuctl a line of its log\n{config}"


@pytest.mark.parametrize("state", ["ready", "unhealthy", "scaledToZero"])
def test_a_working_function_can_be_deployed_again(state: str) -> None:
    reported = read(_said(state, 32103))
    assert reported.working
    assert (reported.state, reported.port) == (state, 32103)
    assert yaml.safe_load(reported.deployable().text) == FUNCTION


@pytest.mark.parametrize(
    ("state", "provisioning"),
    [("error", False), ("imported", False), ("building", True), ("waitingForScaleResourceFromZero", True), ("", True)],
)
def test_one_that_never_came_up_is_not_brought_back(state: str, provisioning: bool) -> None:
    reported = read(_said(state))
    assert (reported.working, reported.provisioning, reported.port) == (False, provisioning, None)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"targetCPU": 75, "platform": {}, "resources": {"requests": {"cpu": "25m"}}}, True),
        ({"triggers": {"http": {"kind": "http", "maxWorkers": 1, "attributes": {"port": 32103}}}}, True),
        ({"image": "an-image:gpu-2"}, False),
        ({"env": [{"name": "PROMPTABLE_MODEL", "value": "sam2.1-large"}]}, False),
        ({"triggers": {"http": {"kind": "http", "numWorkers": 4}}}, False),
    ],
)
def test_a_version_is_known_by_what_nuclio_keeps_to_the_letter(changes: dict[str, Any], holds: bool) -> None:
    assert read(_said(**changes)).holds(Rendered(yaml.safe_dump(FUNCTION))) is holds


def test_other_labels_are_another_version() -> None:
    known = {**FUNCTION, "metadata": {**FUNCTION["metadata"], "annotations": {"type": "tracker", "spec": "[]"}}}
    assert not read(_said()).holds(Rendered(yaml.safe_dump(known)))


@pytest.mark.parametrize("said", ["", "metadata:\n\tname: [x\n", "nothing of the kind", "metadata:\n  name: x\n"])
def test_what_is_no_configuration(said: str) -> None:
    with pytest.raises(DeployError, match="expected metadata, spec and status"):
        read(said)
