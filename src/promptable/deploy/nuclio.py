"""Nuclio, through nuctl."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptable.deploy import commands
from promptable.deploy.errors import DeployError
from promptable.deploy.rendering import reported
from promptable.deploy.rendering.rendered import Rendered
from promptable.deploy.rendering.reported import Reported
from promptable.deploy.rendering.target import PlatformName

_BUILDS_NOTHING = {"NUCLIO_CONTAINER_BUILDER_KIND": "kaniko"}
"""Else nuctl asks Docker for its version before it deploys to a cluster, and gives up where there is none."""
_PROJECT = "cvat"
_LABEL = re.compile(r"Label: ([^,]*),")


@dataclass(frozen=True)
class Nuclio:
    """The Nuclio of one platform and namespace. Both are always named: nuctl's own choice follows any kubeconfig."""

    platform: PlatformName
    namespace: str

    @property
    def _place(self) -> tuple[str, ...]:
        return "--platform", self.platform, "--namespace", self.namespace

    def get(self, function: str) -> Reported | None:
        """What it says of a function; None if it has none of this name. Raises DeployError."""
        command = ("nuctl", "get", "function", function, "--output", "yaml", *self._place)
        said = commands.ask(*command)
        if said.ok and "No functions found" not in said.out:
            return reported.read(said.out)
        if "No functions found" in said.out + said.err:
            return None
        raise DeployError(f"Nuclio does not say whether {function} is deployed: {said.why}")

    def look(self, function: str) -> Reported | None:
        """The same; None also where it does not say."""
        try:
            return self.get(function)
        except DeployError:
            return None

    def has_project(self) -> bool:
        said = commands.ask("nuctl", "get", "project", _PROJECT, *self._place)
        return said.ok and _PROJECT in re.split(r"[\s|]+", said.out)

    def create_project_command(self) -> tuple[str, ...]:
        return "nuctl", "create", "project", _PROJECT, *self._place

    def delete_command(self, function: str) -> tuple[str, ...]:
        return "nuctl", "delete", "function", function, "--force", *self._place

    def deploy_command(self, function: str, file: Path, image: str) -> tuple[str, ...]:
        """nuctl deploying this file and image. Without build keys and path it builds nothing."""
        return (
            *("nuctl", "deploy", function, "--project-name", _PROJECT),
            *("--file", str(file), "--run-image", image, *self._place),
        )

    @contextmanager
    def deploying(self, function: str, rendered: Rendered, work: Path) -> Iterator[subprocess.Popen[str]]:
        """nuctl deploying; it ends with the block at the latest."""
        file = work / f"{function}.yaml"
        file.write_text(rendered.text, encoding="utf-8")
        command = self.deploy_command(function, file, rendered.image)
        environment = os.environ | _BUILDS_NOTHING
        # nuctl writes a temporary file into its working directory.
        with commands.started(command, environment, folder=str(work)) as process:
            yield process


def client_version() -> str:
    """The version of the nuctl that is installed; empty if it does not say."""
    found = _LABEL.search(commands.ask("nuctl", "version").out)
    return found[1] if found else ""


def download_hint(version: str) -> str:
    url = f"https://github.com/nuclio/nuclio/releases/download/{version}/nuctl-{version}-linux-amd64"
    return f"sudo curl -fLo /usr/local/bin/nuctl {url} && sudo chmod +x /usr/local/bin/nuctl"
