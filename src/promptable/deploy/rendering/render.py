"""The function.yaml that is deployed, but for its image: the folder's own, for one platform and device.

It has no build keys: nuctl builds as soon as there is one.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from promptable.config import function_yaml, labels, nuclio
from promptable.config.nuclio import FunctionConfig, FunctionType, Volume
from promptable.deploy.errors import DeployError
from promptable.deploy.rendering.rendered import Rendered, model_setting, models_of
from promptable.deploy.rendering.target import (
    REDIS_CA_FILE,
    REDIS_PASSWORD_FILE,
    WEIGHTS_DIR,
    Device,
    PlatformName,
    Scheduling,
    SharedRedis,
    Target,
    Toleration,
)
from promptable.models.catalogue import AUTO, OFFICIAL, Task, names, sam2_model

_TASKS = {
    FunctionType.DETECTOR: Task.DETECTION,
    FunctionType.INTERACTOR: Task.SEGMENTATION,
    FunctionType.TRACKER: Task.TRACKING,
}
"""What the model of each type of function is for."""

_NVIDIA = "nvidia.com/"
_GPU = f"{_NVIDIA}gpu"
_TORCH_DEVICE = {Device.GPU: "cuda", Device.CPU: "cpu"}
_WITH_REDIS = (FunctionType.INTERACTOR, FunctionType.TRACKER)
_LARGEST = 94_000
"""Bytes of a function.yaml whose base64, with what Nuclio adds to it, fits Linux's 128 KiB for one argument."""
_OTHER_MEMORY_GIB = {FunctionType.DETECTOR: 3, FunctionType.INTERACTOR: 4, FunctionType.TRACKER: 8}
"""Memory beside the models: Python, PyTorch, frames; the interactor's feature cache; the tracker's cache and store."""
_CPU = "1"
"""What a busy pod uses at least. Replicas start at 75% of what a pod asks for: asking for two, a small model, which
computes with one thread, would never have a second one. On a CPU large models take what is free beyond it."""


def render(path: Path, target: Target) -> Rendered:
    """The function.yaml at ``path`` as it is deployed.

    Raises DeployError, FunctionConfigError for a wrong file and LabelError for wrong labels.
    """
    config = function_yaml.load(path)
    config = config.with_metadata(namespace=target.namespace).with_spec(build=None)
    if target.labels and config.type is FunctionType.DETECTOR:
        config = config.with_annotations(spec=labels.render(target.labels))
    config = config.with_env(**_environment(config, target))
    looks_up = target.platform is PlatformName.KUBE and config.redis_host
    if config.lacks_redis(config.env) and not looks_up:
        raise DeployError(
            f"{path} has numWorkers: {config.trigger.workers}, and a worker of a tracker does not know the objects of"
            " another one without --redis"
        )
    config = _with_gpus(config, target.device).with_spec(volumes=_volumes(config, target) or None)
    text = function_yaml.dump(_PLATFORMS[target.platform](config, target))
    if target.platform is PlatformName.LOCAL:
        _check_size(text)
    return Rendered(text)


def _check_size(text: str) -> None:
    """nuctl hands the configuration to Docker as base64 in one shell argument (pkg/platform/local/platform.go)."""
    size = len(text.encode())
    if size > _LARGEST:
        raise DeployError(
            f"the function.yaml has {size} bytes, and nuctl can hand Docker {_LARGEST}: leave labels out or shorten"
            " their prompts, or use --platform kube"
        )


def _environment(config: FunctionConfig, target: Target) -> Mapping[str, str]:
    """The variables that the deployment decides."""
    variables = {"PROMPTABLE_DEVICE": _device(config, target.device)}
    if target.model:
        variables["PROMPTABLE_MODEL"] = _known_model(config.type, target.model)
    elif model_setting(config, "model") == AUTO:
        variables["PROMPTABLE_MODEL"] = sam2_model(_TORCH_DEVICE[target.device])
    if target.mask_model and config.type is FunctionType.DETECTOR:
        variables["PROMPTABLE_MASK_MODEL"] = _known_model(FunctionType.INTERACTOR, target.mask_model, "--mask-model")
    if target.answer_form and config.type is FunctionType.INTERACTOR:
        variables["PROMPTABLE_ANSWER_FORM"] = target.answer_form
    if target.redis and config.type in _WITH_REDIS:
        variables |= _redis_variables(target.redis)
    return variables


def _device(config: FunctionConfig, device: Device) -> str:
    """PyTorch's name of it; where function.yaml names one such device among several, as cuda:1, that one."""
    kind, own = _TORCH_DEVICE[device], config.env.get("PROMPTABLE_DEVICE", "")
    return own if own.startswith(f"{kind}:") else kind


def _redis_variables(redis: SharedRedis) -> dict[str, str]:
    """The variables that tell a function of its Redis."""
    variables = {"HOST": redis.host, "PORT": str(redis.port)}
    if redis.tls:
        variables["TLS"] = "true"
    if redis.password_file or redis.secret:
        variables["PASSWORD_FILE"] = REDIS_PASSWORD_FILE
    if redis.ca_file:
        variables["CA_FILE"] = REDIS_CA_FILE
    return {f"CVAT_FUNCTIONS_REDIS_{name}": value for name, value in variables.items()}


def _known_model(kind: FunctionType, model: str, option: str = "--model") -> str:
    official = names(_TASKS[kind])
    if model not in official and not model.startswith(f"{WEIGHTS_DIR}/"):
        runs = f"a {kind} runs one of {', '.join(official)}, or a model folder"
        raise DeployError(f"{option}: {runs}, got {model!r}")
    return model


def _with_gpus(config: FunctionConfig, device: Device) -> FunctionConfig:
    """Ask for what of NVIDIA's function.yaml says, or one GPU, on the device gpu, else for none."""
    resources = config.spec.resources
    limits = {name: amount for name, amount in resources.limits.items() if not name.startswith(_NVIDIA)}
    if device is Device.GPU:
        limits = dict(resources.limits) if limits != resources.limits else {**limits, _GPU: 1}
    changed = resources.replace(limits=limits or None)
    return config.with_spec(resources=changed if changed.model_fields_set else None)


def _for_docker(config: FunctionConfig, target: Target) -> FunctionConfig:
    """A fixed port on the host, on CVAT's network."""
    if target.port:
        config = config.with_trigger(port=target.port)
    if target.network:
        attributes = config.spec.platform.attributes.replace(network=target.network)
        config = config.with_spec(platform=config.spec.platform.replace(attributes=attributes))
    return config


def _for_kubernetes(config: FunctionConfig, target: Target) -> FunctionConfig:
    """No port on the nodes: in Kubernetes CVAT calls through the dashboard."""
    spec = config.spec
    return config.with_trigger(port=None, service_type="ClusterIP").with_spec(
        platform=None,
        security_context=spec.security_context.replace(seccomp_profile={"type": "RuntimeDefault"}),
        resources=spec.resources.replace(requests=_requests(config)),
        image_pull_policy="IfNotPresent",  # the tag names the content
        **_scheduled(config, target.scheduling),
    )


def _requests(config: FunctionConfig) -> dict[str, str | int]:
    """What a pod asks for, unless function.yaml says it.

    Nuclio's own 25m and 1Mi would scale it at once, and a full node would evict it first.
    """
    return {"cpu": _CPU, "memory": f"{memory_gib(config.type, models_of(config))}Gi", **config.spec.resources.requests}


def memory_gib(kind: FunctionType, models: Sequence[str]) -> int:
    """What a function of this type asks for with these models, full caches included."""
    return _OTHER_MEMORY_GIB[kind] + sum(OFFICIAL[model].memory_gib for model in models if model in OFFICIAL)


_PLATFORMS = {PlatformName.LOCAL: _for_docker, PlatformName.KUBE: _for_kubernetes}


def _scheduled(config: FunctionConfig, scheduling: Scheduling) -> dict[str, Any]:
    """What the options say of pods and nodes; what they do not is function.yaml's."""
    least, most = _replicas(config, scheduling)
    given = {
        "node_selector": dict(scheduling.node_selector),
        "tolerations": tuple(_toleration(toleration) for toleration in scheduling.tolerations),
        "image_pull_secrets": scheduling.pull_secret,
    }
    named = {name: value for name, value in given.items() if value}
    return {"min_replicas": least, "max_replicas": most, **named}


def _replicas(config: FunctionConfig, scheduling: Scheduling) -> tuple[int, int]:
    """How many at least and at most. A tracker without Redis stays at one: another would not know its objects."""
    if config.type is FunctionType.TRACKER and not config.redis_host:
        return 1, 1
    if scheduling.replicas is not None:
        return scheduling.replicas
    least = 1 if config.spec.min_replicas is None else config.spec.min_replicas
    return least, max(1, least) if config.spec.max_replicas is None else config.spec.max_replicas


def _toleration(toleration: Toleration) -> nuclio.Toleration:
    given = {"key": toleration.key, "operator": "Equal" if toleration.value else "Exists"}
    optional = {"value": toleration.value, "effect": toleration.effect}
    return nuclio.Toleration.model_validate(given | {key: value for key, value in optional.items() if value})


def _volumes(config: FunctionConfig, target: Target) -> tuple[Volume, ...]:
    """Those of the options, and of function.yaml those that are mounted elsewhere."""
    claim = target.scheduling.weights_claim
    own: tuple[Volume, ...] = (_weights_volume(claim),) if claim else ()
    if target.redis and config.type in _WITH_REDIS:
        own += tuple(_redis_volumes(target.redis))
    places = [volume.volume_mount["mountPath"] for volume in own]
    return (*(volume for volume in config.spec.volumes if volume.volume_mount.get("mountPath") not in places), *own)


def _redis_volumes(redis: SharedRedis) -> Iterator[Volume]:
    for name, file, place in (
        ("redis-password", redis.password_file, REDIS_PASSWORD_FILE),
        ("redis-ca", redis.ca_file, REDIS_CA_FILE),
    ):
        if file:
            yield _volume(name, place, {"hostPath": {"path": str(file)}})
    if redis.secret:
        source = {"secret": {"secretName": redis.secret, "items": [{"key": "password", "path": "password"}]}}
        yield _volume("redis-password", str(PurePosixPath(REDIS_PASSWORD_FILE).parent), source)


def _weights_volume(claim: str) -> Volume:
    return _volume("weights", WEIGHTS_DIR, {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}})


def _volume(name: str, place: str, source: Mapping[str, Any]) -> Volume:
    """Mounted read-only at ``place``; ``source`` is Kubernetes' word for what it is."""
    mount = {"name": name, "mountPath": place, "readOnly": True}
    return Volume(volume={"name": name, **source}, volume_mount=mount)
