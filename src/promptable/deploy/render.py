"""The function.yaml that is deployed: the folder's own, for one platform, device and image.

The keys are those of Nuclio's function configuration (pkg/functionconfig/types.go). It has no build keys: nuctl builds
as soon as there is one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from promptable.config import labels
from promptable.deploy.target import (
    REDIS_PASSWORD_FILE,
    WEIGHTS_DIR,
    Device,
    Platform,
    SharedRedis,
    Target,
    Toleration,
)
from promptable.models.catalogue import AUTO, OFFICIAL, Task, names, sam2_model

_TASKS = {"detector": Task.DETECTION, "interactor": Task.SEGMENTATION, "tracker": Task.TRACKING}
"""What the model of each type of function is for."""

_GPU = "nvidia.com/gpu"
_TORCH_DEVICE = {Device.GPU: "cuda", Device.CPU: "cpu"}
_KINDS_WITH_REDIS = ("interactor", "tracker")
_LARGEST = 94_000
"""Bytes of a function.yaml whose base64, with what Nuclio adds to it, fits Linux's 128 KiB for one argument."""
_OTHER_MEMORY_GIB = {"detector": 3, "interactor": 4, "tracker": 8}
"""Beside the models: Python, PyTorch and frames; the interactor's feature cache; the tracker's cache and store."""
_CPU = {Device.GPU: "1", Device.CPU: "2"}


class DeployError(ValueError):
    """The function cannot be deployed so: the message says what was expected and what came."""


def render(function_yaml: Path, target: Target) -> str:
    """The text of the function.yaml to deploy. Raises DeployError, and LabelError for wrong labels."""
    config: dict[str, Any] = yaml.safe_load(function_yaml.read_text())
    metadata, spec = config["metadata"], config["spec"]
    kind = function_type(config)
    metadata["namespace"] = target.namespace
    if target.labels and kind == "detector":
        metadata["annotations"]["spec"] = labels.render(target.labels)
    spec.pop("build", None)
    spec["image"] = target.image
    spec["env"] = _environment(spec.get("env", []), kind, target)
    _limit_gpus(spec, target.device)
    if volumes := _volumes(kind, target):
        spec["volumes"] = volumes
    _PLATFORMS[target.platform](spec, kind, target)
    text = dump(config)
    if target.platform is Platform.LOCAL:
        _check_size(text)
    return text


def dump(config: Mapping[str, Any]) -> str:
    """The text of a function.yaml."""
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def function_type(config: Mapping[str, Any]) -> str:
    """detector, interactor or tracker: CVAT's annotation."""
    kind: str = config["metadata"]["annotations"]["type"]
    return kind


def http_trigger(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The function's HTTP trigger. Raises DeployError where there is none."""
    for trigger in spec.get("triggers", {}).values():
        if trigger.get("kind") == "http":
            found: dict[str, Any] = trigger
            return found
    raise DeployError("function.yaml has no trigger of kind http, and CVAT calls over HTTP")


def _check_size(text: str) -> None:
    """nuctl hands the configuration to Docker as base64 in one shell argument (pkg/platform/local/platform.go)."""
    size = len(text.encode())
    if size > _LARGEST:
        raise DeployError(
            f"the function.yaml has {size} bytes, and nuctl can hand Docker {_LARGEST}: leave labels out or shorten"
            " their prompts, or use --platform kube"
        )


def _environment(entries: Sequence[Mapping[str, str]], kind: str, target: Target) -> list[dict[str, str]]:
    environment = {entry["name"]: entry["value"] for entry in entries}
    environment["PROMPTABLE_DEVICE"] = _TORCH_DEVICE[target.device]
    if target.model:
        environment["PROMPTABLE_MODEL"] = _known_model(kind, target.model)
    elif environment.get("PROMPTABLE_MODEL") == AUTO:
        environment["PROMPTABLE_MODEL"] = sam2_model(_TORCH_DEVICE[target.device])
    if target.answer_form and kind == "interactor":
        environment["PROMPTABLE_ANSWER_FORM"] = target.answer_form
    if target.redis and kind in _KINDS_WITH_REDIS:
        environment |= _redis_variables(target.redis)
    return [{"name": name, "value": value} for name, value in environment.items()]


def _redis_variables(redis: SharedRedis) -> dict[str, str]:
    variables = {"HOST": redis.host, "PORT": str(redis.port)}
    if redis.tls:
        variables["TLS"] = "true"
    if redis.password_file or redis.secret:
        variables["PASSWORD_FILE"] = REDIS_PASSWORD_FILE
    return {f"CVAT_FUNCTIONS_REDIS_{name}": value for name, value in variables.items()}


def _known_model(kind: str, model: str) -> str:
    if model not in names(_TASKS[kind]):
        raise DeployError(f"--model: a {kind} runs one of {', '.join(names(_TASKS[kind]))}, got {model!r}")
    return model


def _limit_gpus(spec: dict[str, Any], device: Device) -> None:
    limits = spec.setdefault("resources", {}).setdefault("limits", {})
    limits.pop(_GPU, None)
    if device is Device.GPU:
        limits[_GPU] = 1
    if not limits:
        del spec["resources"]["limits"]


def _for_docker(spec: dict[str, Any], _kind: str, target: Target) -> None:
    """A fixed port on the host, on CVAT's network."""
    if target.port:
        http_trigger(spec)["attributes"]["port"] = target.port
    if target.network:
        spec.setdefault("platform", {}).setdefault("attributes", {})["network"] = target.network


def _for_kubernetes(spec: dict[str, Any], kind: str, target: Target) -> None:
    """No port on the nodes: in Kubernetes CVAT calls through the dashboard."""
    attributes = http_trigger(spec)["attributes"]
    attributes.pop("port", None)
    attributes["serviceType"] = "ClusterIP"
    spec.pop("platform", None)
    spec.setdefault("securityContext", {})["seccompProfile"] = {"type": "RuntimeDefault"}
    spec.setdefault("resources", {})["requests"] = _requests(spec, kind, target.device)
    spec["imagePullPolicy"] = "IfNotPresent"  # the tag names the content
    spec.update(_scheduled(target, kind))


def _requests(spec: Mapping[str, Any], kind: str, device: Device) -> dict[str, str]:
    """Without them Nuclio asks for 25m and 1Mi: it would scale at once, and the node would evict the pod first."""
    models = [entry["value"] for entry in spec["env"] if entry["name"] in ("PROMPTABLE_MODEL", "PROMPTABLE_MASK_MODEL")]
    memory = _OTHER_MEMORY_GIB[kind] + sum(OFFICIAL[model].memory_gib for model in models if model in OFFICIAL)
    return {"cpu": _CPU[device], "memory": f"{memory}Gi"}


_PLATFORMS = {Platform.LOCAL: _for_docker, Platform.KUBE: _for_kubernetes}


def _scheduled(target: Target, kind: str) -> dict[str, Any]:
    """A tracker without Redis stays at one replica: another one would not know its objects."""
    scheduling, one = target.scheduling, kind == "tracker" and target.redis is None
    settings = {
        "minReplicas": 1 if one else scheduling.min_replicas,
        "maxReplicas": 1 if one else scheduling.max_replicas,
        "nodeSelector": dict(scheduling.node_selector),
        "tolerations": [_toleration(toleration) for toleration in scheduling.tolerations],
        "imagePullSecrets": scheduling.pull_secret,
    }
    return {key: value for key, value in settings.items() if value}


def _toleration(toleration: Toleration) -> dict[str, str]:
    entry = {"key": toleration.key, "operator": "Equal" if toleration.value else "Exists"}
    entry |= {"value": toleration.value} if toleration.value else {}
    return entry | ({"effect": toleration.effect} if toleration.effect else {})


def _volumes(kind: str, target: Target) -> list[dict[str, Any]]:
    volumes = [_weights_volume(target.scheduling.weights_claim)] if target.scheduling.weights_claim else []
    if target.redis and kind in _KINDS_WITH_REDIS:
        volumes += _password_volumes(target.redis)
    return volumes


def _password_volumes(redis: SharedRedis) -> list[dict[str, Any]]:
    if redis.password_file:
        source: dict[str, Any] = {"hostPath": {"path": str(redis.password_file)}}
        place = REDIS_PASSWORD_FILE
    elif redis.secret:
        source = {"secret": {"secretName": redis.secret, "items": [{"key": "password", "path": "password"}]}}
        place = str(PurePosixPath(REDIS_PASSWORD_FILE).parent)
    else:
        return []
    return [
        {
            "volume": {"name": "redis-password"} | source,
            "volumeMount": {"name": "redis-password", "mountPath": place, "readOnly": True},
        }
    ]


def _weights_volume(claim: str) -> dict[str, Any]:
    return {
        "volume": {"name": "weights", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},
        "volumeMount": {"name": "weights", "mountPath": WEIGHTS_DIR, "readOnly": True},
    }


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
