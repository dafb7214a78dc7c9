"""CVAT and Nuclio as CVAT's compose files start them, and what keeps the two from using our functions."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from promptable.deploy.commands import CONTAINER_SECONDS, Answer, ask
from promptable.deploy.console import Console
from promptable.deploy.platforms import tools
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.versions import numbers, tag_version

_SERVERLESS = "components/serverless/docker-compose.serverless.yml"
_HERE = Path(__file__).parent


class ComposedCvat:
    """CVAT's containers on this machine; a name or version that is not known is an empty text."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @cached_property
    def server(self) -> str:
        """The container that runs CVAT's server."""
        return _service_container("cvat_server")

    @cached_property
    def dashboard(self) -> str:
        """The container that runs Nuclio's dashboard."""
        return _service_container("nuclio")

    @cached_property
    def nuclio_version(self) -> str:
        """The version of the dashboard's image."""
        return tag_version(inspect("{{.Config.Image}}", self.dashboard).out) if self.dashboard else ""

    @cached_property
    def cvat_version(self) -> str:
        """The version of the server's image."""
        image = inspect("{{.Config.Image}}", self.server).out if self.server else ""
        return image.rpartition(":")[2].removeprefix("v")

    @cached_property
    def network(self) -> str:
        """The one that server and dashboard share."""
        names = [self._networks(each) if each else set() for each in (self.server, self.dashboard)]
        return min(names[0] & names[1], default="")

    def found(self) -> bool:
        """Do both run? Says so if not."""
        if self.server and self.dashboard:
            return True
        self._console.problem(
            "CVAT with Nuclio does not run here"
            f" (cvat_server: {self.server or 'none'}, nuclio: {self.dashboard or 'none'})",
            f"in CVAT's folder: docker compose -f docker-compose.yml -f {_SERVERLESS} up -d",
        )
        return False

    def check(self) -> None:
        """Report what keeps these two from building, listing or calling functions."""
        tools.check_nuctl_version(self._console, self.nuclio_version)
        self._check_dashboards_docker()
        if not self.network:
            self._console.problem(
                f"{self.server} and {self.dashboard} share no Docker network", "start both from CVAT's compose files"
            )
        for container in (self.server, _service_container("cvat_worker_annotation")):
            self._check_way_back(container)
        self._check_dashboard_port()
        self._check_helper_image()

    def verify(self, deployed: Mapping[str, Rendered]) -> None:
        """After a deployment: report functions that CVAT does not find, or cannot connect to."""
        if not deployed or not self.server or not self.dashboard:
            return
        script = (_HERE / "ask_nuclio.py").read_text()
        said = ask("docker", "exec", "--interactive", self.server, "python3", "-", self.dashboard, stdin=script)
        try:
            answer = json.loads(said.out)
        except ValueError:
            self._console.warn(f"CVAT's view of the functions could not be asked in {self.server}: {said.why}")
            return
        if "error" in answer:
            self._console.warn(
                f"Nuclio's dashboard does not answer CVAT, which shows no model: {answer['error']}."
                f" docker logs {self.dashboard} says why"
            )
            return
        for name, rendered in deployed.items():
            self._verify(name, rendered, answer["functions"].get(name))

    def _verify(self, function: str, rendered: Rendered, seen: Mapping[str, object] | None) -> None:
        if seen is None:
            self._console.warn(f"Nuclio's dashboard does not list {function} for CVAT: docker logs {self.dashboard}")
        elif seen["port"] != rendered.port:  # CVAT does not read the state
            self._console.warn(
                f"Nuclio tells CVAT that {function} is {seen['state']} on port {seen['port']}, and it is on"
                f" {rendered.port}: run the same command again"
            )
        elif seen["error"]:
            self._console.warn(
                f"{self.server} cannot connect to host.docker.internal:{rendered.port} ({seen['error']}): a firewall"
                f" stops it; for ufw: sudo ufw allow from 172.16.0.0/12 to any port {rendered.port} proto tcp"
            )

    def _check_dashboards_docker(self) -> None:
        """The dashboard brings its own Docker client, which a newer engine may refuse."""
        said = ask("docker", "exec", self.dashboard, "docker", "version")
        if not said.ok and "API version" not in said.why:
            self._console.problem(
                f"Nuclio's dashboard {self.dashboard} does not work: {said.why}",
                f"docker logs {self.dashboard} says why",
            )
        elif not said.ok:
            self._console.problem(
                f"Docker refuses the client in Nuclio's dashboard {self.nuclio_version}: {said.why}",
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
        published = ask("docker", "port", self.dashboard, "8070").out.splitlines()
        if any(line.startswith(("0.0.0.0:", "[::]:")) for line in published):
            self._console.warn(
                "Nuclio's dashboard is open to every machine that reaches this one, without a password: whoever reaches"
                " it runs any code here. In CVAT's serverless compose file write '127.0.0.1:8070:8070'."
            )

    def _check_helper_image(self) -> None:
        """Nuclio keeps its functions through a helper container: without its image it removes one and brings none."""
        version = numbers(self.nuclio_version)
        image = f"gcr.io/iguazio/alpine:{'3.17' if version and version <= (1, 13, 7) else '3.20'}"
        if ask("docker", "image", "inspect", image).ok or self._console.dry_run:
            return
        said = ask("docker", "pull", image, seconds=CONTAINER_SECONDS)
        if not said.ok:
            self._console.problem(
                f"Nuclio's helper image {image} is not here and cannot be pulled: {said.why}",
                f"bring it from a machine that can: docker save {image} | gzip > helper.tar.gz, here docker load",
            )

    def _networks(self, container: str) -> set[str]:
        template = "{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}"
        return set(inspect(template, container).out.split())


def _service_container(service: str) -> str:
    """The running container of this service of CVAT's compose file; empty if there is none."""
    for which in (f"label=com.docker.compose.service={service}", f"name=^{service}$"):
        said = ask("docker", "ps", "--filter", which, "--format", "{{.Names}}")
        if said.ok and said.out:
            return said.out.splitlines()[0]
    return ""


def inspect(template: str, container: str) -> Answer:
    """``docker inspect`` of a container, in a Go template."""
    return ask("docker", "inspect", "--format", template, container)
