"""What Nuclio says it runs."""

from typing import Any

import pytest
import yaml

from promptable.deploy.render import DeployError
from promptable.deploy.reported import unknown

FUNCTION: dict[str, Any] = {
    "metadata": {"name": "sam2-tracker", "namespace": "nuclio", "annotations": {"type": "tracker", "spec": ""}},
    "spec": {"image": "an-image:gpu-1", "env": [{"name": "PROMPTABLE_MODEL", "value": "sam2.1-tiny"}]},
}


def _said(state: str = "ready", **spec: Any) -> str:
    metadata = FUNCTION["metadata"] | {"labels": {"nuclio.io/project-name": "cvat"}, "resourceVersion": "7"}
    spec = FUNCTION["spec"] | {"build": {"codeEntryType": "image"}} | spec
    config = yaml.safe_dump({"metadata": metadata, "spec": spec, "status": {"state": state}})
    return f"25.11.25 12:00:00.000 (I) nuctl a line of its log\n{config}"


@pytest.mark.parametrize("state", ["ready", "unhealthy", "scaledToZero"])
def test_a_working_function_can_be_deployed_again(state: str) -> None:
    assert yaml.safe_load(unknown(_said(state), "")) == FUNCTION


@pytest.mark.parametrize("state", ["error", "building"])
def test_one_that_never_came_up_is_not_brought_back(state: str) -> None:
    assert unknown(_said(state), "") == ""


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"minReplicas": 1}, True),
        ({"image": "an-image:gpu-2"}, False),
        ({"env": [{"name": "PROMPTABLE_MODEL", "value": "sam2.1-large"}]}, False),
    ],
)
def test_what_is_known_already_is_not_told_again(changes: dict[str, Any], same: bool) -> None:
    assert (unknown(_said(**changes), yaml.safe_dump(FUNCTION)) == "") is same


@pytest.mark.parametrize("said", ["", "nothing of the kind", "metadata:\n  name: x\n"])
def test_what_is_no_configuration(said: str) -> None:
    with pytest.raises(DeployError, match="expected metadata, spec and status"):
        unknown(said, "")
