"""What one run of ``promptable deploy`` is to do, and the mistakes in it that can be seen without asking any tool."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from promptable.deploy.rendering.target import Device, PlatformName, Scheduling, SharedRedis, Toleration

_LOCAL_ONLY = ("port_base", "redis_password_file", "redis_ca")
_KUBE_ONLY = ("registry", "pull_secret", "weights_pvc", "node_selector", "replicas", "tolerations", "redis_secret")
_CONTAINER_USER = 1000
_MOUNTED = ("redis_password_file", "redis_ca")
_FILES = ("labels", *_MOUNTED, "ca", "pip_config")


class Action(StrEnum):
    """What to do with the functions."""

    DEPLOY = "deploy"
    STATUS = "status"
    LOGS = "logs"
    ROLLBACK = "rollback"
    REMOVE = "remove"


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do about it."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Options:
    """What one run is to do. None, an empty text or an empty tuple: the option was not given."""

    action: Action = Action.DEPLOY
    functions: tuple[str, ...] = ()
    """Folders of functions/; empty: all of them."""
    platform: PlatformName = PlatformName.LOCAL
    namespace: str = "nuclio"
    device: Device | None = None
    model: str = ""
    """An official name, or the path of a model folder."""
    mask_model: str = ""
    labels: Path | None = None
    weights: Path | None = None
    build: bool = True
    port_base: int | None = None
    cvat_url: str = ""
    redis: tuple[str, int] | None = None
    redis_tls: bool = False
    redis_password_file: Path | None = None
    redis_ca: Path | None = None
    redis_secret: str = ""
    ca: Path | None = None
    pip_config: Path | None = None
    registry: str = ""
    pull_secret: str = ""
    weights_pvc: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    replicas: tuple[int, int] | None = None
    dry_run: bool = False

    @property
    def shared_redis(self) -> SharedRedis | None:
        """The Redis that functions share; None without one."""
        if self.redis is None:
            return None
        host, port = self.redis
        return SharedRedis(host, port, self.redis_tls, self.redis_password_file, self.redis_secret, self.redis_ca)

    @property
    def scheduling(self) -> Scheduling:
        """Where and how often Kubernetes runs each function."""
        return Scheduling(
            node_selector=self.node_selector,
            tolerations=self.tolerations,
            replicas=self.replicas,
            pull_secret=self.pull_secret,
            weights_claim=self.weights_pvc,
        )


def all_functions(repository: Path) -> tuple[str, ...]:
    """The folders of functions/, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in (repository / "functions").glob("*/function.yaml")))


def problems(options: Options, functions: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with the options themselves; ``functions`` are the names that can be deployed."""
    for name in options.functions:
        if name not in functions:
            yield Problem(f"there is no function {name}", f"one of: {', '.join(functions)}")
    yield from _missing_files(options)
    yield from _contradictions(options)
    yield from _redis(options)
    yield from _other_platforms(options)
    yield from _ports(options, len(functions))
    yield from _mounted(options)


def _missing_files(options: Options) -> Iterator[Problem]:
    for name in _FILES:
        file: Path | None = getattr(options, name)
        if file is not None and not file.exists():
            yield Problem(f"{_flag(name)}: there is no file {file}", "./deploy.sh --help says what belongs there")
    if options.weights is not None and not options.weights.is_dir():
        remedy = f"promptable download MODEL --weights {options.weights} fills one"
        yield Problem(f"--weights: there is no folder {options.weights}", remedy)


def _contradictions(options: Options) -> Iterator[Problem]:
    named = options.functions
    if options.model and len(named) != 1:
        yield Problem("--model needs exactly one FUNCTION", f"./deploy.sh FUNCTION --model {options.model}")
    for name in ("labels", "mask_model"):
        if getattr(options, name) and named and "grounding-dino" not in named:
            yield Problem(f"{_flag(name)} is for grounding-dino, which is not among: {' '.join(named)}", "leave it out")
    for name in ("weights", "ca", "pip_config"):
        if getattr(options, name) and not options.build:
            yield Problem(f"{_flag(name)} is for an image, and --no-build makes none", "leave one of the two out")
    if options.weights and options.weights_pvc:
        yield Problem("with --weights-pvc the images hold no checkpoints for --weights", "leave one of the two out")


def _redis(options: Options) -> Iterator[Problem]:
    for name in ("redis_tls", "redis_password_file", "redis_ca", "redis_secret"):
        if getattr(options, name) and not options.redis:
            yield Problem(f"{_flag(name)} needs --redis", "--redis HOST:PORT")
    if options.redis_ca and not options.redis_tls:
        yield Problem("--redis-ca is the authority of a TLS certificate, and needs --redis-tls", "add --redis-tls")


def _other_platforms(options: Options) -> Iterator[Problem]:
    foreign, other = (
        (_KUBE_ONLY, PlatformName.KUBE) if options.platform is PlatformName.LOCAL else (_LOCAL_ONLY, PlatformName.LOCAL)
    )
    for name in foreign:
        if getattr(options, name):
            yield Problem(f"{_flag(name)} is for --platform {other}", f"leave it out, or add --platform {other}")


def _ports(options: Options, count: int) -> Iterator[Problem]:
    last = 65536 - count
    if options.port_base is not None and not 1024 <= options.port_base <= last:
        what = f"--port-base: expected a port number from 1024 to {last}, got {options.port_base}"
        yield Problem(what, "--port-base 32101")


def _mounted(options: Options) -> Iterator[Problem]:
    for name in _MOUNTED:
        file: Path | None = getattr(options, name)
        if file is not None and file.is_file() and not _readable_in_container(file):
            yield Problem(
                f"{_flag(name)}: the containers run as user {_CONTAINER_USER}, which cannot read {file}",
                f"sudo chown {_CONTAINER_USER} {file} && sudo chmod 400 {file}",
            )


def _readable_in_container(file: Path) -> bool:
    """May user or group 1000, or everyone, read it?"""
    status = file.stat()
    return bool(
        status.st_mode & 0o004
        or (status.st_uid == _CONTAINER_USER and status.st_mode & 0o400)
        or (status.st_gid == _CONTAINER_USER and status.st_mode & 0o040)
    )


def _flag(name: str) -> str:
    return f"--{'toleration' if name == 'tolerations' else name.replace('_', '-')}"
