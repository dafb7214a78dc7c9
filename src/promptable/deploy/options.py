"""The command line of ``promptable deploy``: declared, read into a frozen value, and checked for what needs no tool."""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from promptable.deploy.rendering.target import Device, PlatformName, Toleration

NAMESPACES = {PlatformName.LOCAL: "nuclio", PlatformName.KUBE: "cvat"}
_LOCAL_ONLY = ("port_base", "redis_password_file")
_KUBE_ONLY = ("registry", "pull_secret", "weights_pvc", "node_selector", "replicas", "tolerations", "redis_secret")
_CONTAINER_USER = 1000
_FILES = ("labels", "redis_password_file", "ca", "pip_config")


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
    """What one run shall do. None, an empty text or an empty tuple: the option was not given."""

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


def all_functions(repository: Path) -> tuple[str, ...]:
    """The folders of functions/, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in (repository / "functions").glob("*/function.yaml")))


def add_arguments(parser: argparse.ArgumentParser, functions: Sequence[str]) -> None:
    """Declare the options; ``functions`` are the names that can be deployed."""
    parser.add_argument(
        "functions",
        nargs="*",
        metavar="FUNCTION",
        help=f"a folder of functions/: {', '.join(functions)}; none means all of them",
    )
    _add_what(parser.add_argument_group("What to run"))
    _add_redis(parser.add_argument_group("A Redis that tracker and interactor share"))
    _add_where(parser.add_argument_group("Where"))
    _add_building(parser.add_argument_group("Building the images"))
    _add_kubernetes(parser.add_argument_group("Kubernetes only"))
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print problems, plan, commands and the rendered function.yaml; change nothing",
    )


def _add_what(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    device = group.add_mutually_exclusive_group()
    for name in Device:
        device.add_argument(
            f"--{name}",
            dest="device",
            action="store_const",
            const=name,
            help="where the models run; default: the GPU if this machine has one (kube: GPU; --no-build: the image's)"
            if name is Device.GPU
            else argparse.SUPPRESS,
        )
    add(
        "--model",
        type=_text,
        metavar="MODEL",
        help="official model, or the folder of a model of your own, for the one FUNCTION named; default: its"
        " function.yaml's (the interactor's: sam2.1-large with --gpu, sam2.1-tiny with --cpu)",
    )
    add("--mask-model", type=_text, metavar="MODEL", help="the same for the detector's masks")
    add("--labels", type=_path, metavar="FILE", help="labels.yaml for the detector; default: those in function.yaml")
    add(
        "--weights",
        type=_path,
        metavar="DIR",
        help="folder with checkpoints; what is missing there is downloaded. SHA-256 is always checked.",
    )
    add(
        "--no-build",
        dest="build",
        action="store_false",
        help="use the image that is deployed (or was built last): new labels or settings in seconds",
    )
    add(
        "--port-base",
        type=int,
        metavar="PORT",
        help="local: ports PORT, PORT+1, PORT+2 in alphabetical order; default: those in function.yaml",
    )


def _add_redis(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--redis", type=_host_and_port, metavar="HOST:PORT", help="CVAT's own: cvat_redis_ondisk:6666")
    add("--redis-tls", action="store_true", help="speak TLS to it")
    add(
        "--redis-password-file",
        type=_path,
        metavar="FILE",
        help="local: its password, in a file that the containers' user 1000 can read",
    )


def _add_where(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--platform",
        choices=[str(name) for name in PlatformName],
        default=str(PlatformName.LOCAL),
        help="Docker on this machine (local, the default), or the cluster of kubectl's current context (kube)",
    )
    add("--namespace", type=_text, metavar="NAME", help="Nuclio's namespace; default: nuclio (local), cvat (kube)")
    add(
        "--cvat-url",
        type=_text,
        metavar="URL",
        help="CVAT's address; its version decides the form of the interactor's answers",
    )


def _add_building(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--ca", type=_path, metavar="FILE", help="certificates that pip and the downloads trust; in no image")
    add(
        "--pip-config",
        type=_path,
        metavar="FILE",
        help="pip.conf that names the package indexes, for --cpu also one with PyTorch's CPU builds; in no image."
        " HTTP_PROXY, HTTPS_PROXY and NO_PROXY are passed on from the environment.",
    )
    add(
        "--wheels",
        type=_path,
        metavar="DIR",
        help="deploy.sh's own packages (requirements/deploy.txt) as wheels, for a machine without internet",
    )


def _add_kubernetes(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--registry", type=_text, metavar="HOST/PATH", help="where images are pushed and pulled")
    add("--pull-secret", type=_text, metavar="NAME", help="secret with the registry's password")
    add(
        "--weights-pvc",
        type=_text,
        metavar="NAME",
        help="PersistentVolumeClaim with the checkpoints; the images then hold none",
    )
    add("--node-selector", type=_pairs, metavar="K=V[,K=V]", help="nodes that the pods run on")
    add(
        "--toleration",
        dest="tolerations",
        type=_toleration,
        action="append",
        default=[],
        metavar="KEY[=VALUE][:EFFECT]",
        help="may be given several times",
    )
    add(
        "--redis-secret",
        type=_text,
        metavar="NAME",
        help='secret that keeps Redis\'s password under the key "password"',
    )
    add(
        "--replicas",
        type=_replicas,
        metavar="MIN[:MAX]",
        help="default 1; the tracker has one unless there is --redis",
    )


def read(parsed: argparse.Namespace) -> Options:
    """The options in what the parser read. The first word may be an action; a FUNCTION what the shell completes to."""
    values = {each.name: getattr(parsed, each.name, None) for each in fields(Options)}
    given = {name: value for name, value in values.items() if value is not None}
    words = list(parsed.functions)
    action = Action(words.pop(0)) if words and words[0] in list(Action) else Action.DEPLOY
    platform = PlatformName(parsed.platform)
    given |= {
        "action": action,
        "platform": platform,
        "functions": tuple(word.strip("/").removeprefix("functions/") for word in words),
        "namespace": parsed.namespace or NAMESPACES[platform],
        "tolerations": tuple(parsed.tolerations),
    }
    return Options(**given)


def problems(options: Options, functions: Sequence[str]) -> Iterator[Problem]:
    """What is wrong with the options themselves; ``functions`` are the names that can be deployed."""
    for name in options.functions:
        if name not in functions:
            yield Problem(f"there is no function {name}", f"one of: {', '.join(functions)}")
    yield from _missing_files(options)
    yield from _contradictions(options)
    yield from _other_platforms(options)
    yield from _ports(options, len(functions))
    yield from _password(options)


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
    if not options.redis and (options.redis_tls or options.redis_password_file or options.redis_secret):
        yield Problem("--redis-tls, --redis-password-file and --redis-secret need --redis", "--redis HOST:PORT")


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


def _password(options: Options) -> Iterator[Problem]:
    file = options.redis_password_file
    if file is not None and file.is_file() and not _readable_in_container(file):
        yield Problem(
            f"--redis-password-file: the containers run as user {_CONTAINER_USER}, which cannot read {file}",
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


def _text(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("needs a value")
    return text


def _path(text: str) -> Path:
    return Path(_text(text)).expanduser().absolute()


def _host_and_port(text: str) -> tuple[str, int]:
    """``host:port``"""
    if not re.fullmatch(r"[A-Za-z0-9._-]+:[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(
            "expected HOST:PORT without user or password: a password on a command line can be read by everyone on the"
            " machine; use --redis-password-file (local) or --redis-secret (kube)"
        )
    host, _, port = text.rpartition(":")
    return host, int(port)


def _pairs(text: str) -> dict[str, str]:
    """``key=value,key=value``"""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(key and equals for key, equals, _ in pairs):
        raise argparse.ArgumentTypeError(f"expected key=value[,key=value], got {text!r}")
    return {key: value for key, _, value in pairs}


def _toleration(text: str) -> Toleration:
    """``key[=value][:effect]``"""
    rest, _, effect = text.partition(":")
    key, _, value = rest.partition("=")
    if not key:
        raise argparse.ArgumentTypeError(f"expected key[=value][:effect], got {text!r}")
    return Toleration(key, value, effect)


def _replicas(text: str) -> tuple[int, int]:
    """``n`` or ``min:max``, from 1 on"""
    least, _, most = text.partition(":")
    try:
        replicas = int(least), int(most or least)
    except ValueError:
        replicas = (0, 0)
    if not 1 <= replicas[0] <= replicas[1]:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, or min:max, got {text!r}")
    return replicas
