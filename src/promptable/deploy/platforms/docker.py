"""Nuclio on this machine's Docker, as CVAT's compose file starts it."""

import json
import shutil
import socket
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from promptable.deploy.commands import Answer, ask
from promptable.deploy.console import Console
from promptable.deploy.image.build import Images
from promptable.deploy.options import Options
from promptable.deploy.platforms import tools
from promptable.deploy.platforms.base import Instance, Site
from promptable.deploy.rendering.render import redis_variables
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.target import REDIS_PASSWORD_FILE, Device, SharedRedis
from promptable.deploy.versions import numbers, tag_version

_GIB = 1 << 30
_PYTHON_IMAGE = "python:3.11-slim-bookworm"
_SERVERLESS = "components/serverless/docker-compose.serverless.yml"
_LEAST_DRIVER = (580,)
"""CUDA 13, which the pinned PyTorch brings, needs it."""
_LEAST_CAPABILITY = (7, 5)
"""Compute capability from which the pinned PyTorch has kernels: Turing."""
_BASE_GIB = {Device.GPU: 30, Device.CPU: 12}
_FUNCTIONS_GIB = 4
"""Disk that a build needs for the base image, and without it."""
_LOG_LINES = "50"
_HERE = Path(__file__).parent


class Docker:
    """The platform ``local``."""

    columns = ("container", "health", "restarts", "port")

    def __init__(self, options: Options, console: Console, images: Images) -> None:
        self._options = options
        self._console = console
        self._images = images

    def default_device(self) -> Device:
        return Device.GPU if ask("nvidia-smi").ok else Device.CPU

    def reach(self) -> None:
        tools.check_docker(self._console)

    def check(self, device: Device | None, building: bool, ports: Mapping[str, int]) -> Site:
        tools.check(self._console, "nuctl", self._nuclio_version)
        if not tools.check_docker(self._console):
            return Site()
        if building:
            tools.check_builder(self._console)
        self._check_disks(device, building)
        if self._found_cvat():
            self._check_cvat()
        if device is Device.GPU:
            self.check_gpu()
        for function, port in ports.items():
            self._check_port(function, port)
        return Site(self._nuclio_version, self._cvat_version, self._network, self._free())

    def instance(self, function: str) -> Instance:
        identity, status, restarts, _ = self._state(function)
        return Instance(identity, status in ("exited", "dead") or restarts not in ("", "0"))

    def ready(self, function: str) -> bool:
        _, status, _, health = self._state(function)
        return status == "running" and health == "healthy"

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
        """It is here."""

    def ask_redis(self, image: str, redis: SharedRedis) -> str:
        command = ["docker", "run", "--rm", "--interactive", "--network", self._network]
        for name, value in redis_variables(redis).items():
            command += ["--env", f"{name}={value}"]
        if redis.password_file:
            command += ["--volume", f"{redis.password_file}:{REDIS_PASSWORD_FILE}:ro"]
        said = ask(*command, "--entrypoint", "python", image, "-", stdin=(_HERE / "ask_redis.py").read_text())
        return "ok" if said.ok else said.why

    def verify(self, deployed: Mapping[str, Rendered]) -> None:
        if not deployed or not self._server or not self._dashboard:
            return
        script = (_HERE / "ask_nuclio.py").read_text()
        said = ask("docker", "exec", "--interactive", self._server, "python3", "-", self._dashboard, stdin=script)
        try:
            answer = json.loads(said.out)
        except ValueError:
            self._console.warn(f"CVAT's view of the functions could not be asked in {self._server}: {said.why}")
            return
        if "error" in answer:
            self._console.warn(
                f"Nuclio's dashboard does not answer CVAT, which shows no model: {answer['error']}."
                f" docker logs {self._dashboard} says why"
            )
            return
        for name, rendered in deployed.items():
            self._verify(name, rendered, answer["functions"].get(name))

    def drops_images(self) -> bool:
        return True

    def status(self, function: str) -> Sequence[str]:
        identity, status, restarts, health = self._state(function)
        if not identity:
            return "none", "-", "-", "-"
        published = ask("docker", "port", container_of(function, self._options.namespace), "8080").out.splitlines()
        return status, health or "-", restarts, published[0] if published else "-"

    def check_gpu(self) -> None:
        """The driver, and the card: an old one fails at the first request only."""
        command = self._gpu_command()
        if self._console.dry_run:
            self._console.command(command)
            return
        said = ask(*command)
        if not said.ok:
            self._console.problem(
                f"containers do not see the GPU: {said.why}",
                "install the driver and nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure"
                " --runtime=docker && sudo systemctl restart docker; or use --cpu",
            )
            return
        self._gpus = [tuple(field.strip() for field in line.split(",")) for line in said.out.splitlines()]
        self._check_cards()

    def _gpu_command(self) -> Sequence[str]:
        base = "promptable-base:gpu"
        image = base if ask("docker", "image", "inspect", base).ok else _PYTHON_IMAGE
        query = "--query-gpu=driver_version,name,compute_cap,memory.total,memory.free"
        command = ("docker", "run", "--rm", "--gpus", "all", "--entrypoint", "nvidia-smi", image)
        return *command, query, "--format=csv,noheader,nounits"

    _gpus: Sequence[tuple[str, ...]] = ()

    def _check_cards(self) -> None:
        driver = self._gpus[0][0]
        if numbers(driver) < _LEAST_DRIVER:
            self._console.problem(
                f"the NVIDIA driver is {driver}, and PyTorch with CUDA 13 needs 580",
                "update the driver (ubuntu-drivers install), or use --cpu",
            )
        old = [f"{name} ({capability})" for _, name, capability, *_ in self._gpus if _too_old(capability)]
        if old:
            say = self._console.problem if len(old) == len(self._gpus) else self._warn
            say(
                f"PyTorch has no kernels for {', '.join(old)}: it needs compute capability 7.5 or later"
                " (Turing: GTX 16, RTX 20, T4)",
                "use --cpu, or another card",
            )

    def _warn(self, what: str, remedy: str) -> None:
        self._console.warn(f"{what}; {remedy}")

    def _verify(self, function: str, rendered: Rendered, seen: Mapping[str, object] | None) -> None:
        if seen is None:
            self._console.warn(f"Nuclio's dashboard does not list {function} for CVAT: docker logs {self._dashboard}")
        elif seen["state"] != "ready" or seen["port"] != rendered.port:
            self._console.warn(
                f"Nuclio tells CVAT that {function} is {seen['state']} on port {seen['port']}, and it is on"
                f" {rendered.port}: run the same command again"
            )
        elif seen["error"]:
            self._console.warn(
                f"{self._server} cannot connect to host.docker.internal:{rendered.port} ({seen['error']}): a firewall"
                f" stops it; for ufw: sudo ufw allow from 172.16.0.0/12 to any port {rendered.port} proto tcp"
            )

    # What runs here.

    @cached_property
    def _server(self) -> str:
        return _service_container("cvat_server")

    @cached_property
    def _dashboard(self) -> str:
        return _service_container("nuclio")

    @cached_property
    def _nuclio_version(self) -> str:
        return tag_version(self._inspect("{{.Config.Image}}", self._dashboard).out) if self._dashboard else ""

    @cached_property
    def _cvat_version(self) -> str:
        image = self._inspect("{{.Config.Image}}", self._server).out if self._server else ""
        return image.rpartition(":")[2].removeprefix("v")

    @cached_property
    def _network(self) -> str:
        """The one that server and dashboard share."""
        names = [self._networks(each) if each else set() for each in (self._server, self._dashboard)]
        return min(names[0] & names[1], default="")

    def _state(self, function: str) -> tuple[str, str, str, str]:
        """Id, status, restarts and health of its container; empty texts if there is none."""
        template = "{{.Id}} {{.State.Status}} {{.RestartCount}} {{if .State.Health}}{{.State.Health.Status}}{{end}}"
        said = self._inspect(template, container_of(function, self._options.namespace))
        identity, status, restarts, health, *_ = [*said.out.split(" "), "", "", ""]
        return identity, status, restarts, health

    def _networks(self, container: str) -> set[str]:
        template = "{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}"
        return set(self._inspect(template, container).out.split())

    def _inspect(self, template: str, container: str) -> Answer:
        return ask("docker", "inspect", "--format", template, container)

    # The checks.

    def _found_cvat(self) -> bool:
        if self._server and self._dashboard:
            return True
        self._console.problem(
            "CVAT with Nuclio does not run here"
            f" (cvat_server: {self._server or 'none'}, nuclio: {self._dashboard or 'none'})",
            f"in CVAT's folder: docker compose -f docker-compose.yml -f {_SERVERLESS} up -d",
        )
        return False

    def _check_cvat(self) -> None:
        tools.check_nuctl_version(self._console, self._nuclio_version)
        self._check_dashboards_docker()
        if not self._network:
            self._console.problem(
                f"{self._server} and {self._dashboard} share no Docker network", "start both from CVAT's compose files"
            )
        for container in (self._server, _service_container("cvat_worker_annotation")):
            self._check_way_back(container)
        self._check_dashboard_port()
        self._check_helper_image()

    def _check_dashboards_docker(self) -> None:
        """The dashboard brings its own Docker client, which a newer engine may refuse."""
        said = ask("docker", "exec", self._dashboard, "docker", "version")
        if not said.ok and "API version" not in said.why:
            self._console.problem(
                f"Nuclio's dashboard {self._dashboard} does not work: {said.why}",
                f"docker logs {self._dashboard} says why",
            )
        elif not said.ok:
            self._console.problem(
                f"Docker refuses the client in Nuclio's dashboard {self._nuclio_version}: {said.why}",
                "update CVAT (its compose file brings a newer dashboard), or set"
                ' "min-api-version": "1.24" in /etc/docker/daemon.json and restart Docker',
            )

    def _check_way_back(self, container: str) -> None:
        """CVAT calls the functions through the host's ports, unless it is set to call through the dashboard."""
        if not container:
            return
        method = ask("docker", "exec", container, "printenv", "CVAT_NUCLIO_INVOKE_METHOD").out
        if method != "dashboard" and not ask("docker", "exec", container, "getent", "hosts", "host.docker.internal").ok:
            self._console.problem(
                f"{container} does not know host.docker.internal, and so cannot call the functions",
                f'start it with {_SERVERLESS}, which adds extra_hosts: ["host.docker.internal:host-gateway"]',
            )

    def _check_dashboard_port(self) -> None:
        published = ask("docker", "port", self._dashboard, "8070").out.splitlines()
        if any(line.startswith(("0.0.0.0:", "[::]:")) for line in published):
            self._console.warn(
                "Nuclio's dashboard is open to every machine that reaches this one, without a password: whoever reaches"
                " it runs any code here. In CVAT's serverless compose file write '127.0.0.1:8070:8070'."
            )

    def _check_helper_image(self) -> None:
        """Nuclio keeps its functions through a helper container: without its image it removes one and brings none."""
        version = numbers(self._nuclio_version)
        image = f"gcr.io/iguazio/alpine:{'3.17' if version and version <= (1, 13, 7) else '3.20'}"
        if ask("docker", "image", "inspect", image).ok or self._console.dry_run:
            return
        said = ask("docker", "pull", image)
        if not said.ok:
            self._console.problem(
                f"Nuclio's helper image {image} is not here and cannot be pulled: {said.why}",
                f"bring it from a machine that can: docker save {image} | gzip > helper.tar.gz, here docker load",
            )

    def _check_port(self, function: str, port: int) -> None:
        said = ask("docker", "ps", "--filter", f"publish={port}", "--format", "{{.Names}}")
        owner = said.out.splitlines()[0] if said.out else ""
        if owner == container_of(function, self._options.namespace):
            return
        if owner or _taken(port):
            self._console.problem(
                f"port {port}, for {function}, is taken by {owner or 'another program'}",
                f"stop it (sudo ss -ltnp 'sport = :{port}' names it), or use --port-base",
            )

    def _check_disks(self, device: Device | None, building: bool) -> None:
        self._check_disk(Path("/tmp"), 1, "nuctl")  # noqa: S108 - nuctl's own choice
        if building:
            cached = device is None or self._images.has_packages(device)
            needs = _FUNCTIONS_GIB if cached or device is None else _BASE_GIB[device]
            self._check_disk(image_folder(), needs, "building the images")

    def _check_disk(self, folder: Path, needs_gib: int, what: str) -> None:
        if folder.is_dir() and (free := shutil.disk_usage(folder).free) < needs_gib * _GIB:
            self._console.problem(
                f"{folder} has {free // _GIB} GB free, and {what} needs {needs_gib}",
                "docker builder prune and docker image prune free what old builds left",
            )

    def _free(self) -> Mapping[str, str]:
        folder = image_folder()
        free = {"memory": f"{_available_memory() / _GIB:.0f} GB"}
        if folder.is_dir():
            free["disk"] = f"{shutil.disk_usage(folder).free / _GIB:.0f} GB in {folder}"
        for number, (_, name, _, total, left) in enumerate(self._gpus):
            free[f"GPU {number}"] = f"{int(left) / 1024:.0f} of {int(total) / 1024:.0f} GB ({name})"
        return free


def container_of(function: str, namespace: str) -> str:
    """The name that Nuclio gives a function's container."""
    return f"nuclio-{namespace}-{function}"


def image_folder() -> Path:
    """Where Docker's images lie: with containerd's image store that is containerd's folder."""
    said = ask("docker", "info", "--format", "{{json .}}")
    info = json.loads(said.out) if said.ok and said.out.startswith("{") else {}
    root = Path(info.get("DockerRootDir") or "/nowhere")
    if "io.containerd.snapshotter.v1" not in str(info.get("DriverStatus")):
        return root
    own = root / "containerd"  # a containerd that dockerd started itself
    return own if own.is_dir() else _containerd_root()


def _containerd_root() -> Path:
    try:
        config = tomllib.loads(Path("/etc/containerd/config.toml").read_text())
    except (OSError, ValueError):
        config = {}
    return Path(config.get("root", "/var/lib/containerd"))


def _service_container(service: str) -> str:
    """The running container of this service of CVAT's compose file; empty if there is none."""
    for which in (f"label=com.docker.compose.service={service}", f"name=^{service}$"):
        said = ask("docker", "ps", "--filter", which, "--format", "{{.Names}}")
        if said.ok and said.out:
            return said.out.splitlines()[0]
    return ""


def _taken(port: int) -> bool:
    """Does a program listen on this port, on whatever address of this machine?"""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - what Docker binds
        try:
            with socket.socket(family) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family is socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address, port))
        except OSError as error:
            if error.errno == 98:
                return True
    return False


def _too_old(capability: str) -> bool:
    return numbers(capability) < _LEAST_CAPABILITY


def _available_memory() -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024
