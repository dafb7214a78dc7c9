"""A Nuclio function configuration as strict dataclasses: an unknown key, a missing one or a wrong type is an error.

The fields are the part of nuclio/nuclio pkg/functionconfig/types.go that our functions use. Nuclio itself ignores keys
that it does not know, so a misspelt one would go unnoticed until the function behaves otherwise than it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class StrictError(ValueError):
    """The document does not fit: the message names the key."""


@dataclass(frozen=True)
class Variable:
    """v1.EnvVar with a value of its own."""

    name: str
    value: str


@dataclass(frozen=True)
class TriggerAttributes:
    """pkg/processor/trigger/http/types.go, and the port that pkg/platform/local publishes."""

    port: int
    maxRequestBodySize: int


@dataclass(frozen=True)
class Trigger:
    kind: str
    numWorkers: int
    workerAvailabilityTimeoutMilliseconds: int
    attributes: TriggerAttributes


@dataclass(frozen=True)
class Triggers:
    http: Trigger


@dataclass(frozen=True)
class Resources:
    """v1.ResourceRequirements; the keys of ``limits`` are resource names."""

    limits: dict[str, int]


@dataclass(frozen=True)
class LoggerSink:
    """Without a sink's name it sets the level of the platform's own."""

    level: str


@dataclass(frozen=True)
class RestartPolicy:
    """Docker's; on Kubernetes a pod always restarts."""

    name: str


@dataclass(frozen=True)
class PlatformAttributes:
    restartPolicy: RestartPolicy


@dataclass(frozen=True)
class Platform:
    attributes: PlatformAttributes


@dataclass(frozen=True)
class SecurityContext:
    """v1.PodSecurityContext; Nuclio hands user and groups to ``docker run`` too."""

    runAsNonRoot: bool
    runAsUser: int
    runAsGroup: int
    fsGroup: int


@dataclass(frozen=True)
class Spec:
    description: str
    runtime: str
    handler: str
    eventTimeout: str
    readinessTimeoutSeconds: int
    env: list[Variable]
    triggers: Triggers
    resources: Resources
    loggerSinks: list[LoggerSink]
    platform: Platform
    securityContext: SecurityContext


@dataclass(frozen=True)
class Annotations:
    """What CVAT reads of any function (cvat/apps/lambda_manager/views.py); Nuclio takes only strings."""

    name: str
    type: str
    framework: str
    spec: str


@dataclass(frozen=True)
class InteractorAnnotations(Annotations):
    version: str
    min_pos_points: str
    min_neg_points: str
    startswith_box_optional: str
    help_message: str


@dataclass(frozen=True)
class TrackerAnnotations(Annotations):
    supported_shape_types: str


@dataclass(frozen=True)
class Metadata:
    name: str
    annotations: dict[str, str]


@dataclass(frozen=True)
class FunctionConfig:
    """A whole function.yaml."""

    metadata: Metadata
    spec: Spec


ANNOTATIONS: Mapping[str, type[Annotations]] = {
    "detector": Annotations,
    "interactor": InteractorAnnotations,
    "tracker": TrackerAnnotations,
}


def strict(kind: type[T], value: Any, path: str = "") -> T:
    """The parsed YAML ``value`` as this dataclass, dict, list, str, int or bool. Raises StrictError.

    ``path`` is the value's place in the document, empty or with a dot at its end.
    """
    if is_dataclass(kind):
        return _dataclass(kind, value, path)  # type: ignore[return-value]
    container = get_origin(kind) or kind
    if type(value) is not container:
        raise StrictError(f"{path[:-1]} must be {container.__name__}, got {value!r}")
    if container is list:
        (inner,) = get_args(kind)
        return [strict(inner, entry, f"{path[:-1]}[{i}].") for i, entry in enumerate(value)]  # type: ignore[return-value]
    if container is dict:
        return {key: strict(get_args(kind)[1], entry, f"{path}{key}.") for key, entry in value.items()}  # type: ignore[return-value]
    return value  # type: ignore[no-any-return]


def _dataclass(kind: type[Any], value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise StrictError(f"{path[:-1]} must be a mapping, got {value!r}")
    hints = get_type_hints(kind)
    if unknown := [key for key in value if key not in hints]:
        raise StrictError(f"{path}{unknown[0]} is unknown")
    if missing := [key for key in hints if key not in value]:
        raise StrictError(f"{path}{missing[0]} is missing")
    return kind(**{key: strict(hint, value[key], f"{path}{key}.") for key, hint in hints.items()})
