"""What both platforms need of the tools on this machine."""

import getpass

from promptable.deploy import commands, nuclio
from promptable.deploy.commands import ask
from promptable.deploy.console import Console
from promptable.deploy.versions import numbers

LEAST_ENGINE = "25.0"
LEAST_BUILDX = "0.10"
"""The oldest that know COPY --link, HEALTHCHECK --start-interval, --build-context and --provenance."""


def check(console: Console, tool: str, nuclio_version: str = "") -> bool:
    """Is this tool installed?"""
    if commands.installed(tool):
        return True
    hints = {
        "nuctl": nuclio.download_hint(nuclio_version or "VERSION"),
        "docker": "https://docs.docker.com/engine/install/",
        "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    }
    console.problem(f"{tool} is not installed", hints[tool])
    return False


def check_docker(console: Console) -> bool:
    """Does the engine answer?"""
    if not check(console, "docker"):
        return False
    said = ask("docker", "info", "--format", "{{.ServerVersion}}")
    if said.ok:
        return True
    if "permission denied" in said.why:
        console.problem("this user may not use Docker", _into_group())
    else:
        remedy = "sudo systemctl start docker (docker context ls shows which engine is used)"
        console.problem(f"Docker is not reachable: {said.why}", remedy)
    return False


def _into_group() -> str:
    """How this user comes into the group that may use Docker."""
    try:
        return f"sudo usermod -aG docker {getpass.getuser()}, then log in again"
    except (KeyError, OSError):  # the latter since Python 3.13
        return "run it as a user of the group docker: the system knows no name of this one"


def check_builder(console: Console) -> None:
    """Can this engine and its buildx build the images?"""
    engine = ask("docker", "version", "--format", "{{.Server.Version}}").out
    if numbers(engine) < numbers(LEAST_ENGINE):
        console.problem(
            f"Docker {engine} cannot build the images, which needs {LEAST_ENGINE} or later",
            "https://docs.docker.com/engine/install/; or build on another machine, bring the images with docker save"
            " and docker load, and use --no-build",
        )
    said = ask("docker", "buildx", "version")
    if not said.ok:
        console.problem(
            "docker buildx is missing, and the images need BuildKit",
            "sudo apt install docker-buildx-plugin (Debian's own Docker: docker-buildx)",
        )
    elif (version := numbers(next(iter(said.out.split()[1:2]), ""))) and version < numbers(LEAST_BUILDX):
        found = ".".join(map(str, version))
        console.problem(
            f"docker buildx is {found}, and the images need {LEAST_BUILDX} or later",
            "sudo apt install docker-buildx-plugin, or https://github.com/docker/buildx/releases",
        )


def check_nuctl_version(console: Console, nuclio_version: str) -> None:
    """nuctl and the dashboard must be of one version."""
    if not commands.installed("nuctl") or not nuclio_version:
        return
    client = nuclio.client_version()
    if client != nuclio_version:
        console.problem(
            f"nuctl is {client or 'of an unknown version'} and the Nuclio dashboard is {nuclio_version}",
            nuclio.download_hint(nuclio_version),
        )
