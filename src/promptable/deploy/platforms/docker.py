"""Nuclio on this machine's Docker, as CVAT's compose file starts it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from promptable.deploy.commands import ask
from promptable.deploy.console import Console
from promptable.deploy.image.build import Images
from promptable.deploy.options import Options
from promptable.deploy.platforms import host, tools
from promptable.deploy.platforms.base import Instance, Site
from promptable.deploy.platforms.composed_cvat import ComposedCvat, inspect
from promptable.deploy.platforms.gpus import Gpus
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.target import Device

_LOG_LINES = "50"
_OTHERS_SECONDS = 120
"""Until somebody else's container is healthy, or was given up."""
_HERE = Path(__file__).parent


class _Container(NamedTuple):
    """A function's container in Docker's words; empty texts if there is none."""

    identity: str = ""
    status: str = ""
    restarts: str = "0"
    health: str = "-"


class Docker:
    """The platform ``local``."""

    columns = ("container", "health", "restarts", "port")

    def __init__(self, options: Options, console: Console, images: Images) -> None:
        self._options = options
        self._console = console
        self._images = images
        self._cvat = ComposedCvat(console)
        self._gpus = Gpus(console)

    def default_device(self) -> Device:
        return Device.GPU if ask("nvidia-smi").ok else Device.CPU

    def reach(self) -> None:
        tools.check_docker(self._console)

    def check(self, device: Device | None, building: bool, ports: Mapping[str, int]) -> Site:
        tools.check(self._console, "nuctl", self._cvat.nuclio_version)
        if not tools.check_docker(self._console):
            return Site()
        if building:
            tools.check_builder(self._console)
        host.check_disk(self._console, Path("/tmp"), 1, "nuctl")  # noqa: S108 - nuctl's own choice
        if self._cvat.found():
            self._cvat.check()
        if device is Device.GPU:
            self.check_gpu()
        for function, port in ports.items():
            self._check_port(function, port)
        return Site(
            self._cvat.nuclio_version, self._cvat.cvat_version, self._cvat.network, {**host.free(), **self._gpus.free()}
        )

    def instance(self, function: str) -> Instance:
        container = self._container(function)
        return Instance(container.identity, container.status in ("exited", "dead") or container.restarts != "0")

    def ready(self, function: str, replicas: int) -> bool:
        container = self._container(function)
        return container.status == "running" and container.health == "healthy"

    def patience(self, *, own: bool) -> int:
        """Here nuctl itself deploys: nobody goes on where it was interrupted."""
        return 0 if own else _OTHERS_SECONDS

    def log(self, function: str) -> str:
        container = container_of(function, self._options.namespace)
        said = ask("docker", "logs", "--tail", _LOG_LINES, container)
        return f"{said.out}\n{said.err}".strip() if said.ok else ""

    def follow_command(self, function: str) -> Sequence[str]:
        if not self.instance(function).identity:
            return ()
        return "docker", "logs", "--tail", "100", "--follow", container_of(function, self._options.namespace)

    @contextmanager
    def open(self, function: str, rendered: Rendered) -> Iterator[str]:
        yield f"http://127.0.0.1:{rendered.port}/"

    def held_models(self, image: str, current: Rendered | None) -> set[str]:
        return self._images.held_models(image)

    def publish(self, image: str) -> None:
        """Nothing to do: the image was built where it runs."""

    def ask_redis(self, rendered: Rendered) -> str:
        command = ["docker", "run", "--rm", "--interactive", "--network", self._cvat.network]
        command += [*_redis_arguments(rendered), "--entrypoint", "python", rendered.image, "-"]
        said = ask(*command, stdin=(_HERE / "ask_redis.py").read_text())
        return "ok" if said.ok else said.why

    def verify(self, deployed: Mapping[str, Rendered]) -> None:
        self._cvat.verify(deployed)

    def holds_images(self) -> bool:
        return True

    def status(self, function: str) -> Sequence[str]:
        container = self._container(function)
        if not container.identity:
            return "none", "-", "-", "-"
        published = ask("docker", "port", container_of(function, self._options.namespace), "8080").out.splitlines()
        return container.status, container.health, container.restarts, published[0] if published else "-"

    def check_gpu(self) -> None:
        self._gpus.check()

    def _container(self, function: str) -> _Container:
        template = "{{.Id}} {{.State.Status}} {{.RestartCount}} {{if .State.Health}}{{.State.Health.Status}}{{end}}"
        return _Container(*inspect(template, container_of(function, self._options.namespace)).out.split())

    def _check_port(self, function: str, port: int) -> None:
        if not port:
            what = f"{function} has no port: its function.yaml lacks spec.triggers.http.attributes.port"
            self._console.problem(what, "write one there, as 32101, or use --port-base")
            return
        said = ask("docker", "ps", "--filter", f"publish={port}", "--format", "{{.Names}}")
        owner = said.out.splitlines()[0] if said.out else ""
        if owner == container_of(function, self._options.namespace):
            return
        if owner or host.taken(port):
            self._console.problem(
                f"port {port}, for {function}, is taken by {owner or 'another program'}",
                f"stop it (sudo ss -ltnp 'sport = :{port}' names it), or use --port-base",
            )


def _redis_arguments(rendered: Rendered) -> Iterator[str]:
    """The function's settings of Redis, and what of this machine it sees: the files that they name are there."""
    for name, value in rendered.config.env.items():
        if name.startswith("CVAT_FUNCTIONS_REDIS_"):
            yield from ("--env", f"{name}={value}")
    for each in rendered.config.spec.volumes:
        source, place = each.volume.get("hostPath") or {}, each.volume_mount.get("mountPath")
        if source.get("path") and place:
            yield from ("--volume", f"{source['path']}:{place}:ro")


def container_of(function: str, namespace: str) -> str:
    """The name that Nuclio gives a function's container."""
    return f"nuclio-{namespace}-{function}"
