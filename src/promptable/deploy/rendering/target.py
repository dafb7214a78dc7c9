"""What a deployment changes in a function.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

WEIGHTS_DIR = "/opt/promptable/weights"
"""Folder of the checkpoints in the images; the default of ``PROMPTABLE_WEIGHTS``."""

REDIS_PASSWORD_FILE = "/run/secrets/redis/password"  # noqa: S105 - where it lies, not what it is
"""Where the password of Redis is mounted in a container."""
REDIS_CA_FILE = "/run/secrets/redis-ca.crt"
"""Where the authority of its certificate is."""


class PlatformName(StrEnum):
    """Where Nuclio runs the functions; the values are nuctl's."""

    LOCAL = "local"
    KUBE = "kube"


class Device(StrEnum):
    """What the models run on."""

    GPU = "gpu"
    CPU = "cpu"


@dataclass(frozen=True)
class Toleration:
    """A Kubernetes toleration. Without a value it tolerates any, without an effect all effects."""

    key: str
    value: str = ""
    effect: str = ""


@dataclass(frozen=True)
class SharedRedis:
    """The Redis that functions share.

    Its password, if it has one, is the content of a file of this machine (local), or is kept under the key ``password``
    of a Kubernetes secret (kube).
    """

    host: str
    port: int
    tls: bool = False
    password_file: Path | None = None
    secret: str = ""
    ca_file: Path | None = None
    """The authority that signed its certificate; None: the system knows it, or function.yaml names it."""


@dataclass(frozen=True)
class Scheduling:
    """Where and how often Kubernetes runs a function. What is empty or None is left to function.yaml."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    replicas: tuple[int, int] | None = None
    """How many at least and at most."""
    pull_secret: str = ""
    weights_claim: str = ""
    """PersistentVolumeClaim that holds the checkpoints; empty: they are in the image."""


@dataclass(frozen=True)
class Target:
    """One function's deployment. An empty text or None leaves what function.yaml says."""

    platform: PlatformName
    namespace: str
    device: Device
    network: str = ""
    """Docker network of CVAT, for the platform local."""
    port: int | None = None
    model: str = ""
    """An official name, or the model's folder in the container."""
    mask_model: str = ""
    labels: Path | None = None
    answer_form: str = ""
    redis: SharedRedis | None = None
    scheduling: Scheduling = field(default_factory=Scheduling)
