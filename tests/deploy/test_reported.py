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
    spec = FUNCTION["spec"] | {"build": {"codeEntryType": "image"}} | spec
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
    ("changes", "differs"),
    [
        ({}, False),
        ({"minReplicas": 1}, False),
        ({"maxReplicas": 3, "resources": {"requests": {"cpu": "1"}}}, False),
        ({"image": "an-image:gpu-2"}, True),
        ({"env": [{"name": "PROMPTABLE_MODEL", "value": "sam2.1-large"}]}, True),
    ],
)
def test_what_is_known_already_is_told_from_what_somebody_else_deployed(changes: dict[str, Any], differs: bool) -> None:
    assert read(_said(**changes)).differs(Rendered(yaml.safe_dump(FUNCTION))) is differs


MOUNT: dict[str, Any] = {
    "volume": {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}},
    "volumeMount": {"name": "weights", "mountPath": "/weights"},
}
OPTIONS: dict[str, Any] = {
    "minReplicas": 1,
    "maxReplicas": 3,
    "nodeSelector": {"zone": "a"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "volumes": [MOUNT],
    "eventTimeout": "55s",
    "triggers": {"http": {"kind": "http", "numWorkers": 1}},
}


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, False),
        ({"nodeSelector": {"zone": "a", "kubernetes.io/os": "linux"}}, True),
        ({"volumes": [MOUNT | {"volumeMount": MOUNT["volumeMount"] | {"readOnly": True}}]}, True),
        ({"triggers": {"http": {"kind": "http", "maxWorkers": 1, "attributes": {"port": 32103}}}}, False),
        ({"minReplicas": 2}, True),
        ({"maxReplicas": 1}, True),
        ({"nodeSelector": {"zone": "b"}}, True),
        ({"tolerations": []}, True),
        ({"volumes": []}, True),
        ({"eventTimeout": "2m"}, True),
        ({"triggers": {"http": {"kind": "http", "numWorkers": 4}}}, True),
    ],
)
def test_where_and_how_often_it_runs_counts_as_far_as_a_deployment_chose_it(
    changes: dict[str, Any], differs: bool
) -> None:
    known = Rendered(yaml.safe_dump(FUNCTION | {"spec": FUNCTION["spec"] | OPTIONS}))
    assert read(_said(**OPTIONS | changes)).differs(known) is differs


@pytest.mark.parametrize(
    ("known", "reported", "differs"),
    [
        ({"nodeSelector": {}, "tolerations": [], "imagePullSecrets": "", "eventTimeout": ""}, {}, False),
        (
            {"tolerations": [{"key": "k", "operator": "Exists", "value": "", "effect": ""}]},
            {"tolerations": [{"key": "k", "operator": "Exists"}]},
            False,
        ),
        (
            {"volumes": [{"volume": {"name": "s", "emptyDir": {}}, "volumeMount": {"name": "s", "readOnly": False}}]},
            {"volumes": [{"volume": {"name": "s", "emptyDir": {}}, "volumeMount": {"name": "s"}}]},
            False,
        ),
        ({"affinity": {"nodeAffinity": {}}}, {}, False),
        (
            {"sidecars": [{"name": "proxy", "image": "proxy:1"}]},
            {"sidecars": [{"name": "proxy", "image": "proxy:1", "env": [{"name": "A", "value": "1"}]}]},
            False,
        ),
        ({"tolerations": []}, {"tolerations": [{"key": "k"}]}, True),
        ({"minReplicas": 0}, {"minReplicas": 1}, True),
    ],
)
def test_what_nuclio_leaves_out_or_fills_in_by_itself_is_no_change(
    known: dict[str, Any], reported: dict[str, Any], differs: bool
) -> None:
    own = Rendered(yaml.safe_dump(FUNCTION | {"spec": FUNCTION["spec"] | known}))
    assert read(_said(**reported)).differs(own) is differs


@pytest.mark.parametrize(
    ("added", "differs"),
    [
        ({"tolerations": [{"key": "k", "operator": "Exists"}]}, True),
        ({"volumes": [MOUNT]}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"affinity": {"nodeAffinity": {"x": [1]}}}, True),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, True),
        ({"env": [*FUNCTION["spec"]["env"], {"name": "KEY", "valueFrom": {"secretKeyRef": {"key": "k"}}}]}, True),
        ({"sidecars": [{"name": "proxy"}]}, True),
        ({"initContainers": [{"name": "fetch"}]}, True),
        ({"eventTimeout": "55s"}, True),
        ({"imagePullSecrets": "regcred"}, True),
        ({"resources": {"requests": {"cpu": "25m", "memory": "1Mi"}}, "minReplicas": 1, "maxReplicas": 4}, False),
        ({"targetCPU": 75, "alias": "latest", "version": -1, "imageHash": "1", "platform": {}}, False),
        ({"disableDefaultHTTPTrigger": False, "readinessTimeoutSeconds": 600}, False),
    ],
)
def test_what_somebody_else_only_added_is_told_from_what_nuclio_fills_in(added: dict[str, Any], differs: bool) -> None:
    assert read(_said(**added)).differs(Rendered(yaml.safe_dump(FUNCTION))) is differs


def _of_amounts(size: object, cpu: object) -> dict[str, Any]:
    volume = {"volume": {"name": "s", "emptyDir": {"sizeLimit": size}}, "volumeMount": {"name": "s", "mountPath": "/s"}}
    return {"volumes": [volume], "resources": {"requests": {"cpu": cpu}}}


@pytest.mark.parametrize(
    ("size", "cpu", "differs"),
    [
        ("1024Mi", "500m", False),
        ("1073741824", "0.5", False),
        ("1Gi", ".5", False),
        ("1G", "500m", True),
        ("1Gi", "501m", True),
        ("1Gi", "5e-1", False),
    ],
)
def test_an_amount_may_be_written_in_another_way(size: object, cpu: object, differs: bool) -> None:
    known = Rendered(yaml.safe_dump(FUNCTION | {"spec": FUNCTION["spec"] | _of_amounts(size, cpu)}))
    assert read(_said(**_of_amounts("1Gi", "500m"))).differs(known) is differs


@pytest.mark.parametrize(
    "added", [{"nodeSelector": {"cores": "1000m"}}, {"tolerations": [{"key": "k", "value": "1k"}]}]
)
def test_what_is_no_amount_is_not_read_as_one(added: dict[str, Any]) -> None:
    own = Rendered(yaml.safe_dump(FUNCTION | {"spec": FUNCTION["spec"] | added}))
    written = yaml.safe_load(str(added).replace("1000m", "1").replace("1k", "1000"))
    assert read(_said(**written)).differs(own)


@pytest.mark.parametrize("said", ["", "metadata:\n\tname: [x\n", "nothing of the kind", "metadata:\n  name: x\n"])
def test_what_is_no_configuration(said: str) -> None:
    with pytest.raises(DeployError, match="expected metadata, spec and status"):
        read(said)
