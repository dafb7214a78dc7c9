"""Nuclio in a Kubernetes cluster, as CVAT's helm chart installs it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from promptable.deploy import commands
from promptable.deploy.commands import QUESTION_SECONDS, Answer, ask
from promptable.deploy.console import Console
from promptable.deploy.image.build import Images
from promptable.deploy.options import Options
from promptable.deploy.platforms import tools
from promptable.deploy.platforms.base import Instance, OpenError, Site
from promptable.deploy.reasons import reason
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.target import Device
from promptable.deploy.versions import tag_version

_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")
_CONTROLLER = "nuclio.io/app=controller"
_READY = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
_AGE = ".metadata.creationTimestamp"
_HINDERED = (
    r'jsonpath={range .items[*]}{"\n"}{.metadata.name}{"\t"}'
    '{.status.conditions[?(@.reason=="Unschedulable")].message}'
    "{range .status.containerStatuses[*]}{.state.waiting.reason} {.state.waiting.message}{end}{end}"
)
"""A line for each pod: its name, and why it cannot be scheduled or what its container waits for."""
_COUNTS = (
    "jsonpath={.metadata.generation}/{.status.observedGeneration}"
    "/{.status.replicas}/{.status.updatedReplicas}/{.status.availableReplicas}"
)
"""Of a deployment: the version that is wanted, the one that is looked at; all pods, those of that version, those up."""
_ONLY_NEW = re.compile(r"(\d+)/\1/(\d+)/\2/(?P<up>\d+)")
_STARTING = ("", "ContainerCreating", "PodInitializing")
_LOG_LINES = "50"
_ROLLOUT_SECONDS = 60
_OWN_SECONDS, _OTHERS_SECONDS = 60, 600
"""Until a pod is ready, or was given up; somebody else's may have to pull its image of gigabytes first."""
_HERE = Path(__file__).parent


class Kubernetes:
    """The platform ``kube``: the cluster of kubectl's context."""

    columns = ("pods (name, ready, status, restarts, age)",)

    def __init__(self, options: Options, console: Console, images: Images) -> None:
        self._options = options
        self._console = console
        self._images = images

    def default_device(self) -> Device:
        return Device.GPU

    def reach(self) -> None:
        if tools.check(self._console, "kubectl"):
            self._check_cluster()

    def check(self, device: Device | None, building: bool, ports: Mapping[str, int]) -> Site:
        if not self._options.registry:
            self._console.problem("no registry", "--registry HOST/PATH, from which the cluster pulls the images")
        if building and tools.check_docker(self._console):
            tools.check_builder(self._console)
        reached = tools.check(self._console, "kubectl") and self._check_cluster()
        tools.check(self._console, "nuctl", self._nuclio_version if reached else "")
        if not reached:
            return Site()
        self._check_nuclio()
        for kind, name in (("pvc", "weights_pvc"), ("secret", "pull_secret"), ("secret", "redis_secret")):
            self._check_named(kind, getattr(self._options, name), f"--{name.replace('_', '-')}")
        if device is Device.GPU:
            self.check_gpu()
        return Site(nuclio_version=self._nuclio_version)

    def check_gpu(self) -> None:
        template = r'jsonpath={range .items[*]}{.status.allocatable.nvidia\.com/gpu}{"\n"}{end}'
        said = ask("kubectl", "get", "nodes", "-o", template)
        if not said.ok:
            self._console.warn(f"whether a node offers nvidia.com/gpu is not known: {said.why}")
        elif not re.search("[1-9]", said.out):
            self._console.problem(
                "no node offers nvidia.com/gpu",
                "install NVIDIA's device plugin or GPU operator (docs/kubernetes.md), or use --cpu",
            )

    def instance(self, function: str) -> Instance:
        """nuctl itself gives up on pods that crash or cannot be scheduled, and waits for those that cannot pull."""
        pods = self._kube("get", "pods", "-l", _pods_of(function), "--sort-by", _AGE, "-o", _HINDERED).out
        name, _, why = pods.rpartition("\n")[2].partition("\t")
        return Instance(name, hindered="" if why.strip() in _STARTING else f"{name}: {why.strip()}")

    def ready(self, function: str, replicas: int) -> bool:
        """More than so many may still be wanted by the autoscaler, and lack a place on the nodes."""
        if self._has(function, replicas):
            return True
        command = ("rollout", "status", f"deployment/{deployment_of(function)}", f"--timeout={_ROLLOUT_SECONDS}s")
        rolled_out = self._kube(*command, seconds=QUESTION_SECONDS + _ROLLOUT_SECONDS).ok
        return rolled_out and self._has(function, replicas)  # one that is scaled to none is rolled out too

    def patience(self, *, own: bool) -> int:
        """Nuclio's controller deploys, and goes on though nuctl was interrupted."""
        return _OWN_SECONDS if own else _OTHERS_SECONDS

    def log(self, function: str) -> str:
        """The newest pod's: others may be of the version before, which still answers."""
        newest = self.instance(function).identity
        return self._kube("logs", newest, "--tail", _LOG_LINES).out if newest else ""

    def follow_command(self, function: str) -> Sequence[str]:
        if not self._kube("get", "pods", "-l", _pods_of(function), "--no-headers").out:
            return ()
        namespace = self._options.namespace
        return "kubectl", "--namespace", namespace, "logs", "-l", _pods_of(function), "--tail", "100", "--follow"

    @contextmanager
    def open(self, function: str, rendered: Rendered) -> Iterator[str]:
        """Through a forwarded port: nothing is opened on the nodes, and kubectl chooses a free one here."""
        service = f"service/{deployment_of(function)}"
        command = ("kubectl", "--namespace", self._options.namespace, "port-forward", "--address", "127.0.0.1", service)
        with commands.started((*command, ":8080")) as process:
            try:
                yield f"http://127.0.0.1:{_forwarded(function, process.stdout or ())}/"
            finally:
                process.terminate()

    def held_models(self, image: str, current: Rendered | None) -> set[str]:
        """What ran with the image before; on a claim the checkpoints are not the image's."""
        return set() if current is None or current.claim else set(current.models)

    def publish(self, image: str) -> None:
        self._images.push(image)

    def ask_redis(self, rendered: Rendered) -> str:
        """No pod can be asked before there is one: ``verify`` asks."""
        return ""

    def verify(self, deployed: Mapping[str, Rendered]) -> None:
        for function, rendered in deployed.items():
            if rendered.redis_host:
                self._verify_redis(function)

    def holds_images(self) -> bool:
        return False

    def status(self, function: str) -> Sequence[str]:
        pods = self._kube("get", "pods", "-l", _pods_of(function), "--no-headers").out
        return ("\n".join(" ".join(line.split()) for line in pods.splitlines()) or "none",)

    def _has(self, function: str, replicas: int) -> bool:
        """Are so many up of this version, and none of another one?"""
        counts = self._kube("get", f"deployment/{deployment_of(function)}", "-o", _COUNTS).out
        only_new = _ONLY_NEW.fullmatch(counts)
        return only_new is not None and int(only_new["up"]) >= replicas

    def _verify_redis(self, function: str) -> None:
        command = ("exec", "--stdin", f"deployment/{deployment_of(function)}", "--", "python", "-")
        said = self._kube(*command, stdin=(_HERE / "ask_redis.py").read_text())
        if not said.ok:
            self._console.warn(f"{function} does not reach its Redis: {said.why}")

    def _kube(self, *arguments: str, stdin: str | None = None, seconds: float = QUESTION_SECONDS) -> Answer:
        return ask("kubectl", "--namespace", self._options.namespace, *arguments, stdin=stdin, seconds=seconds)

    @cached_property
    def _nuclio_version(self) -> str:
        template = "jsonpath={.items[0].spec.containers[0].image}"
        said = self._kube("get", "pods", "-l", "nuclio.io/app=dashboard", "-o", template)
        return tag_version(said.out) if said.ok else ""

    def _check_cluster(self) -> bool:
        namespace = self._options.namespace
        said = ask("kubectl", "get", "namespace", namespace)
        if said.ok:
            self._console.say(f"cluster: {ask('kubectl', 'config', 'current-context').out}")
            return True
        remedy = "kubectl config get-contexts shows the clusters; --namespace is the one of CVAT's helm release"
        if "Forbidden" in said.why:
            yours = f"kubectl auth can-i --list --namespace {namespace} lists yours"
            remedy = f"docs/kubernetes.md says which rights it takes; {yours}"
        self._console.problem(f"namespace {namespace} is not reachable: {said.why}", remedy)
        return False

    def _check_nuclio(self) -> None:
        if not self._nuclio_version:
            self._console.problem(
                f"no Nuclio dashboard runs in namespace {self._options.namespace}",
                "helm upgrade CVAT with nuclio.enabled=true (docs/kubernetes.md)",
            )
            return
        tools.check_nuctl_version(self._console, self._nuclio_version)
        if "True" not in self._kube("get", "pods", "-l", _CONTROLLER, "-o", _READY).out:
            self._console.problem(
                f"no Nuclio controller is ready in namespace {self._options.namespace}: it would start nothing",
                f"kubectl --namespace {self._options.namespace} describe pods -l {_CONTROLLER} says why",
            )
        template = r'jsonpath={range .items[*]}{.metadata.name} {.spec.type}{"\n"}{end}'
        if re.search("nuclio-dashboard (NodePort|LoadBalancer)", self._kube("get", "services", "-o", template).out):
            self._console.warn(
                "Nuclio's dashboard is reachable from outside the cluster, without a password: leave"
                " nuclio.dashboard.nodePort unset in the helm values"
            )

    def _check_named(self, kind: str, name: str, option: str) -> None:
        if name and not self._kube("get", kind, name).ok:
            namespace = self._options.namespace
            what = f"namespace {namespace} has no {kind} {name} ({option})"
            self._console.problem(what, f"kubectl --namespace {namespace} get {kind}")


def deployment_of(function: str) -> str:
    """The name that Nuclio gives a function's deployment and service."""
    return f"nuclio-{function}"


def _pods_of(function: str) -> str:
    return f"nuclio.io/function-name={function}"


def _forwarded(function: str, said: Iterator[str] | Sequence[str]) -> str:
    lines = []
    for line in said:
        if found := _FORWARDING.search(line):
            return found[1]
        lines.append(line)
    why = reason("".join(lines))
    raise OpenError(f"no port could be forwarded to {function}: {why}")
