"""The function.yaml that is deployed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from promptable.deploy.errors import DeployError
from promptable.deploy.rendering.render import render
from promptable.deploy.rendering.target import WEIGHTS_DIR, Device, PlatformName, Scheduling, SharedRedis, Target

REPOSITORY = Path(__file__).parents[2]
FUNCTIONS = sorted((REPOSITORY / "functions").glob("*/function.yaml"))
TARGET = Target(platform=PlatformName.LOCAL, namespace="nuclio", device=Device.GPU)


def _rendered(function_yaml: Path, **changes: Any) -> Any:
    return yaml.safe_load(render(function_yaml, Target(**{**vars(TARGET), **changes})).text)


@pytest.mark.parametrize("function_yaml", FUNCTIONS, ids=lambda path: path.parent.name)
def test_what_the_target_does_not_name_stays(function_yaml: Path) -> None:
    """The labels' JSON too, to the byte: CVAT and the handler read it."""
    own = yaml.safe_load(function_yaml.read_text())
    for entry in own["spec"]["env"]:
        if entry == {"name": "PROMPTABLE_MODEL", "value": "auto"}:
            entry["value"] = "sam2.1-large"
    rendered = _rendered(function_yaml)
    own["metadata"]["namespace"] = "nuclio"
    own["spec"] |= {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    own["spec"]["env"].append({"name": "PROMPTABLE_DEVICE", "value": "cuda"})
    for document in (own, rendered):
        document["spec"]["env"].sort(key=lambda entry: entry["name"])
    assert rendered == own


@pytest.mark.parametrize("function_yaml", FUNCTIONS, ids=lambda path: path.parent.name)
def test_a_value_is_never_given_twice(function_yaml: Path) -> None:
    rendered = _rendered(function_yaml, model="", answer_form="mask", device=Device.CPU)
    names = [entry["name"] for entry in rendered["spec"]["env"]]
    assert sorted(names) == sorted(set(names))
    assert "resources" not in rendered["spec"] or "nvidia.com/gpu" not in str(rendered["spec"]["resources"])


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({}, "sam2.1-large"),
        ({"device": Device.CPU}, "sam2.1-tiny"),
        ({"device": Device.CPU, "model": "vit_b"}, "vit_b"),
    ],
)
def test_the_interactors_model_suits_the_device_unless_one_is_named(changes: dict[str, Any], model: str) -> None:
    rendered = _rendered(REPOSITORY / "functions/sam-interactor/function.yaml", **changes)
    assert {"name": "PROMPTABLE_MODEL", "value": model} in rendered["spec"]["env"]


@pytest.mark.parametrize("model", ["llmdet-large", "mm-grounding-dino-tiny"])
def test_the_detector_runs_every_official_detector_with_its_own_threshold(model: str) -> None:
    rendered = _rendered(REPOSITORY / "functions/grounding-dino/function.yaml", model=model)
    environment = {entry["name"]: entry["value"] for entry in rendered["spec"]["env"]}
    assert (environment["PROMPTABLE_MODEL"], environment["PROMPTABLE_THRESHOLD"]) == (model, "auto")


def _without(folder: Path, function: Path, *names: str, **given: Any) -> Path:
    """A function.yaml without these variables; with ``given`` they are there, as it says."""
    document = yaml.safe_load(function.read_text())
    env = [entry for entry in document["spec"]["env"] if entry["name"] not in names]
    document["spec"]["env"] = env + [{"name": name, **given} for name in names if given]
    path = folder / "function.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize("given", [{}, {"value": ""}])
@pytest.mark.parametrize(
    ("function", "device", "models", "memory"),
    [
        (FUNCTIONS[0], Device.GPU, ("swin-t", "vit_b"), "6Gi"),
        (FUNCTIONS[1], Device.GPU, ("sam2.1-large",), "6Gi"),
        (FUNCTIONS[1], Device.CPU, ("sam2.1-tiny",), "5Gi"),
        (FUNCTIONS[2], Device.GPU, ("sam2.1-large",), "10Gi"),
    ],
)
def test_a_model_that_is_not_named_is_the_default(
    tmp_path: Path, function: Path, device: Device, models: tuple[str, ...], memory: str, given: dict[str, str]
) -> None:
    names = ("PROMPTABLE_MODEL", "PROMPTABLE_MASK_MODEL")[: 2 if function is FUNCTIONS[0] else 1]
    path = _without(tmp_path, function, *names, **given)
    rendered = render(path, Target(platform=PlatformName.KUBE, namespace="cvat", device=device))
    assert rendered.models == models
    assert rendered.config.spec.resources.requests["memory"] == memory


def test_a_model_that_kubernetes_looks_up_stays(tmp_path: Path) -> None:
    reference = {"configMapKeyRef": {"name": "models", "key": "sam"}}
    path = _without(tmp_path, FUNCTIONS[1], "PROMPTABLE_MODEL", valueFrom=reference)
    rendered = render(path, Target(platform=PlatformName.KUBE, namespace="cvat", device=Device.GPU))
    assert rendered.models == ()
    assert {"name": "PROMPTABLE_MODEL", "valueFrom": reference} in yaml.safe_load(rendered.text)["spec"]["env"]


def test_build_keys_go(tmp_path: Path) -> None:
    document = yaml.safe_load(FUNCTIONS[0].read_text())
    document["spec"]["build"] = {"image": "x", "path": "."}
    path = tmp_path / "function.yaml"
    path.write_text(yaml.safe_dump(document))
    assert "build" not in _rendered(path)["spec"]


def test_what_a_function_yaml_says_of_requests_and_of_the_autoscaler_is_kept(tmp_path: Path) -> None:
    document = yaml.safe_load(FUNCTIONS[0].read_text())
    document["spec"] |= {"resources": {"requests": {"cpu": "4"}}, "targetCPU": 60}
    path = tmp_path / "function.yaml"
    path.write_text(yaml.safe_dump(document))
    spec = _rendered(path, platform=PlatformName.KUBE)["spec"]
    assert spec["resources"]["requests"] == {"cpu": "4", "memory": "6Gi"}
    assert spec["targetCPU"] == 60


def _with_spec(folder: Path, function: Path = FUNCTIONS[0], /, **spec: Any) -> Path:
    document = yaml.safe_load(function.read_text())
    env = [*document["spec"]["env"], *spec.pop("env", [])]
    document["spec"] |= {**spec, "env": env}
    path = folder / "function.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


OWN_VOLUME = {
    "volume": {"name": "redis-ca", "secret": {"secretName": "redis-ca"}},
    "volumeMount": {"name": "redis-ca", "mountPath": "/run/redis-ca", "readOnly": True},
}


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeSelector": {"zone": "a"}},
        {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
        {"minReplicas": 2, "maxReplicas": 5},
        {"minReplicas": 0, "maxReplicas": 2},
        {"imagePullSecrets": "a-secret"},
        {"volumes": [OWN_VOLUME]},
    ],
)
def test_in_a_cluster_what_no_option_says_is_function_yamls(tmp_path: Path, spec: dict[str, Any]) -> None:
    rendered = _rendered(_with_spec(tmp_path, **spec), platform=PlatformName.KUBE)["spec"]
    assert {key: rendered[key] for key in spec} == spec


def test_in_a_cluster_options_win_over_function_yaml(tmp_path: Path) -> None:
    path = _with_spec(tmp_path, nodeSelector={"zone": "a"}, minReplicas=2, maxReplicas=5, imagePullSecrets="a-secret")
    scheduling = Scheduling({"zone": "b"}, replicas=(1, 3), pull_secret="another")  # noqa: S106
    spec = _rendered(path, platform=PlatformName.KUBE, scheduling=scheduling)["spec"]
    assert (spec["nodeSelector"], spec["minReplicas"], spec["maxReplicas"]) == ({"zone": "b"}, 1, 3)
    assert spec["imagePullSecrets"] == "another"


@pytest.mark.parametrize(("own", "counts"), [({}, (1, 1)), ({"minReplicas": 2}, (2, 2)), ({"maxReplicas": 3}, (1, 3))])
def test_replicas_that_are_said_by_half(tmp_path: Path, own: dict[str, int], counts: tuple[int, int]) -> None:
    spec = _rendered(_with_spec(tmp_path, **own), platform=PlatformName.KUBE)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == counts


def test_a_redis_in_function_yaml_lets_the_tracker_have_replicas(tmp_path: Path) -> None:
    redis = [{"name": "CVAT_FUNCTIONS_REDIS_HOST", "value": "redis.cvat"}]
    path = _with_spec(tmp_path, FUNCTIONS[2], minReplicas=2, maxReplicas=2, env=redis)
    assert _rendered(path, platform=PlatformName.KUBE)["spec"]["minReplicas"] == 2


def test_a_redis_that_kubernetes_looks_up_is_one(tmp_path: Path) -> None:
    reference = {"configMapKeyRef": {"name": "redis", "key": "host"}}
    redis = [{"name": "CVAT_FUNCTIONS_REDIS_HOST", "valueFrom": reference}]
    workers = {"http": {"kind": "http", "numWorkers": 2}}
    path = _with_spec(tmp_path, FUNCTIONS[2], minReplicas=2, maxReplicas=3, env=redis, triggers=workers)
    rendered = render(path, Target(platform=PlatformName.KUBE, namespace="cvat", device=Device.GPU))
    assert (rendered.config.spec.min_replicas, rendered.config.spec.max_replicas) == (2, 3)
    assert rendered.redis_host == "looked up"
    with pytest.raises(DeployError, match="numWorkers: 2"):
        render(path, TARGET)  # Docker looks nothing up


def test_workers_of_a_tracker_need_a_redis(tmp_path: Path) -> None:
    workers = {"triggers": {"http": {"kind": "http", "numWorkers": 2}}}
    with pytest.raises(DeployError, match=r"numWorkers: 2, and a worker of a tracker .* without --redis"):
        _rendered(_with_spec(tmp_path, FUNCTIONS[2], **workers))
    path = _with_spec(tmp_path, FUNCTIONS[2], **workers)
    assert _rendered(path, redis=SharedRedis("redis", 6379))["spec"]["triggers"]["http"]["numWorkers"] == 2
    assert _rendered(_with_spec(tmp_path, FUNCTIONS[1], **workers))["spec"]["triggers"]["http"]["numWorkers"] == 2


def test_volumes_of_function_yaml_stay_beside_those_of_the_options(tmp_path: Path) -> None:
    old = {"volume": {"name": "w", "emptyDir": {}}, "volumeMount": {"name": "w", "mountPath": WEIGHTS_DIR}}
    path = _with_spec(tmp_path, volumes=[OWN_VOLUME, old])
    spec = _rendered(path, platform=PlatformName.KUBE, scheduling=Scheduling(weights_claim="weights"))["spec"]
    assert [entry["volume"]["name"] for entry in spec["volumes"]] == ["redis-ca", "weights"]


def test_on_docker_volumes_stay_too(tmp_path: Path) -> None:
    volume = OWN_VOLUME | {"volume": {"name": "redis-ca", "hostPath": {"path": "/etc/redis-ca"}}}
    assert _rendered(_with_spec(tmp_path, volumes=[volume]))["spec"]["volumes"] == [volume]


@pytest.mark.parametrize(
    ("own", "device", "expected"),
    [("cuda:1", Device.GPU, "cuda:1"), ("cuda:1", Device.CPU, "cpu"), ("cpu", Device.GPU, "cuda")],
)
def test_a_card_that_function_yaml_names_stays(tmp_path: Path, own: str, device: Device, expected: str) -> None:
    path = _with_spec(tmp_path, env=[{"name": "PROMPTABLE_DEVICE", "value": own}])
    env = {entry["name"]: entry["value"] for entry in _rendered(path, device=device)["spec"]["env"]}
    assert env["PROMPTABLE_DEVICE"] == expected


@pytest.mark.parametrize("own", [{"nvidia.com/gpu": 2}, {"nvidia.com/mig-1g.10gb": 1}])
def test_what_of_a_gpu_function_yaml_asks_for_stays(tmp_path: Path, own: dict[str, int]) -> None:
    path = _with_spec(tmp_path, resources={"limits": {"memory": "8Gi", **own}})
    assert _rendered(path)["spec"]["resources"]["limits"] == {"memory": "8Gi", **own}
    assert _rendered(path, device=Device.CPU)["spec"]["resources"]["limits"] == {"memory": "8Gi"}


def test_the_authority_of_redis_is_mounted(tmp_path: Path) -> None:
    redis = SharedRedis("redis", 6379, tls=True, ca_file=tmp_path / "ca.crt")
    spec = _rendered(FUNCTIONS[2], redis=redis)["spec"]
    env = {entry["name"]: entry["value"] for entry in spec["env"]}
    (volume,) = spec["volumes"]
    assert volume["volume"]["hostPath"] == {"path": f"{tmp_path}/ca.crt"}
    assert volume["volumeMount"]["mountPath"] == env["CVAT_FUNCTIONS_REDIS_CA_FILE"]


def test_replicas_are_kept_from_the_tracker_only() -> None:
    counts = {
        path.parent.name: _rendered(path, platform=PlatformName.KUBE, scheduling=Scheduling(replicas=(2, 5)))
        for path in FUNCTIONS
    }
    assert {name: document["spec"]["maxReplicas"] for name, document in counts.items()} == {
        "grounding-dino": 5,
        "sam-interactor": 5,
        "sam2-tracker": 1,
    }


def test_image_and_functions_agree_on_python() -> None:
    dockerfile = (REPOSITORY / "docker/Dockerfile").read_text()
    for path in FUNCTIONS:
        runtime, _, version = yaml.safe_load(path.read_text())["spec"]["runtime"].partition(":")
        assert f"FROM {runtime}:{version}-slim" in dockerfile
        assert f"py{version}-whl" in dockerfile
