"""What people type, and what they ask of a run by it. ``values`` reads the single options' texts."""

import argparse
from collections.abc import Sequence
from dataclasses import fields

from promptable.cli.deploy import values
from promptable.deploy.options import Action, Options
from promptable.deploy.rendering.target import Device, PlatformName

_NAMESPACES = {PlatformName.LOCAL: "nuclio", PlatformName.KUBE: "cvat"}
_USAGE = """
  ./deploy.sh [FUNCTION...] [OPTION...]      build, deploy, check, send two real requests, print a table
  ./deploy.sh status   [FUNCTION...]         what runs, and what Nuclio tells CVAT of it
  ./deploy.sh logs     [FUNCTION...]         follow a function's log
  ./deploy.sh rollback [FUNCTION...]         back to what was deployed before; once more: forward again;
                                             of a removed function: what was deployed last;
                                             no name: each function that runs and has a version before
  ./deploy.sh remove   [FUNCTION...]         out of CVAT's model list; the images stay"""
_MORE = """
Each run deploys exactly what its options say: repeat --labels and --model with every deployment that should keep them.
Before anything is touched the machine is checked, and every problem is printed with its remedy. If the new version does
not come up or answers wrongly, its log is printed and the one before is brought back, whoever deployed it. Running the
same command twice changes nothing; after an interruption, run it again.

Examples
  ./deploy.sh --dry-run
  ./deploy.sh --gpu --labels labels.yaml --cvat-url http://localhost:8080
  ./deploy.sh grounding-dino --labels labels.yaml --no-build
  ./deploy.sh sam-interactor --model sam2.1-tiny --cpu
  ./deploy.sh --platform kube --registry registry.example.com/cvat --toleration nvidia.com/gpu:NoSchedule

Files: what is deployed, and what was before, is kept for each engine and cluster in
${XDG_STATE_HOME:-~/.local/state}/promptable/.
`promptable deploy`, in the checkout's own environment, is the same command as ./deploy.sh."""

_DEVICE_HELP = {
    Device.GPU: "the models run on the GPU; default if this machine has one (kube: always; --no-build: as the image)",
    Device.CPU: "the models run on the processor",
}


def add_arguments(parser: argparse.ArgumentParser, functions: Sequence[str]) -> None:
    """Declare the options; ``functions`` are the names that can be deployed."""
    parser.usage = _USAGE
    parser.epilog = _MORE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.allow_abbrev = False
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
        device.add_argument(f"--{name}", dest="device", action="store_const", const=name, help=_DEVICE_HELP[name])
    add(
        "--model",
        type=values.text,
        metavar="MODEL",
        help="official model, or the folder of a model of your own, for the one FUNCTION named; default: its"
        " function.yaml's (the interactor's: sam2.1-large with --gpu, sam2.1-tiny with --cpu)",
    )
    add("--mask-model", type=values.text, metavar="MODEL", help="the same for the detector's masks")
    add(
        "--labels",
        type=values.path,
        metavar="FILE",
        help="labels.yaml for the detector; default: those in function.yaml",
    )
    add(
        "--weights",
        type=values.path,
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
    add("--redis", type=values.host_and_port, metavar="HOST:PORT", help="CVAT's own: cvat_redis_ondisk:6666")
    add("--redis-tls", action="store_true", help="speak TLS to it")
    add(
        "--redis-ca",
        type=values.path,
        metavar="FILE",
        help="local: the authority that signed its certificate; kube: docs/kubernetes.md",
    )
    add(
        "--redis-password-file",
        type=values.path,
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
    add(
        "--namespace", type=values.text, metavar="NAME", help="Nuclio's namespace; default: nuclio (local), cvat (kube)"
    )
    add(
        "--cvat-url",
        type=values.text,
        metavar="URL",
        help="CVAT's address; its version decides the form of the interactor's answers",
    )


def _add_building(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--ca", type=values.path, metavar="FILE", help="certificates that pip and the downloads trust; in no image")
    add(
        "--pip-config",
        type=values.path,
        metavar="FILE",
        help="pip.conf that names the package indexes, for --cpu also one with PyTorch's CPU builds; in no image."
        " HTTP_PROXY, HTTPS_PROXY and NO_PROXY are passed on from the environment.",
    )
    add(
        "--wheels",
        type=values.path,
        metavar="DIR",
        help="deploy.sh's own packages (requirements/deploy.txt) as wheels, for a machine without internet",
    )


def _add_kubernetes(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--registry", type=values.text, metavar="HOST/PATH", help="where images are pushed and pulled")
    add("--pull-secret", type=values.text, metavar="NAME", help="secret with the registry's password")
    add(
        "--weights-pvc",
        type=values.text,
        metavar="NAME",
        help="PersistentVolumeClaim with the checkpoints; the images then hold none",
    )
    add("--node-selector", type=values.pairs, metavar="K=V[,K=V]", help="nodes that the pods run on")
    add(
        "--toleration",
        dest="tolerations",
        type=values.toleration,
        action="append",
        default=[],
        metavar="KEY[=VALUE][:EFFECT]",
        help="may be given several times",
    )
    add(
        "--redis-secret",
        type=values.text,
        metavar="NAME",
        help='secret that keeps Redis\'s password under the key "password"',
    )
    add(
        "--replicas",
        type=values.replicas,
        metavar="MIN[:MAX]",
        help="default 1; the tracker has one unless there is --redis",
    )


def options_of(parsed: argparse.Namespace) -> Options:
    """The options in what the parser read. The first word may be an action; a FUNCTION what the shell completes to."""
    typed = {each.name: getattr(parsed, each.name, None) for each in fields(Options)}
    given = {name: value for name, value in typed.items() if value is not None}
    words = list(parsed.functions)
    action = Action(words.pop(0)) if words and words[0] in list(Action) else Action.DEPLOY
    platform = PlatformName(parsed.platform)
    given |= {
        "action": action,
        "platform": platform,
        "functions": tuple(word.strip("/").removeprefix("functions/") for word in words),
        "namespace": parsed.namespace or _NAMESPACES[platform],
        "tolerations": tuple(parsed.tolerations),
    }
    return Options(**given)
