"""A machine to deploy on, on which docker, nuctl, kubectl and others are recording stand-ins."""

import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from promptable.cli.main import main
from promptable.deploy.errors import DeployError
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.rendering.reported import Reported

REPOSITORY = Path(__file__).parents[2]
TOOLS = ("docker", "nuctl", "kubectl", "nvidia-smi")
ENGINE = "0f8fad5b-d9cb-469f-a165-70867728950e"
CLUSTER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
RUNNING = "NEW running 0 healthy"

HEALTHY = {
    "docker": "",
    r"docker info .*\.ID": ENGINE,
    "docker info .*ServerVersion": "28.2.2",
    r"docker info .*\{json": '{"DockerRootDir": "/nowhere"}',
    "docker version .*Server": "28.2.2",
    "docker buildx version": "github.com/docker/buildx v0.24.0 abcdef",
    "docker ps .*service=cvat_server": "cvat_server",
    "docker ps .*service=nuclio": "nuclio",
    "docker ps .*service=cvat_worker_annotation": "cvat_worker_annotation",
    "docker ps .*publish=": "",
    r"docker inspect .*Config\.Image.* nuclio": "quay.io/nuclio/dashboard:1.15.9-amd64",
    r"docker inspect .*Config\.Image.* cvat_server": "cvat/server:v2.70.0",
    "docker inspect .*Networks.* cvat_server": "cvat_cvat\nother",
    "docker inspect .*Networks.* nuclio": "cvat_cvat",
    "docker exec .* getent hosts": "172.17.0.1 host.docker.internal",
    "docker port nuclio": "127.0.0.1:8070",
    "docker run .*nvidia-smi": "580.95.05, NVIDIA L4, 8.9, 23034, 22500",
    "docker run .*--network": "ok",
    "docker image inspect .*promptable.models.*grounding-dino": "swin-t vit_b",
    "docker image inspect .*promptable.models.*(sam-interactor|sam2-tracker)": "sam2.1-large sam2.1-tiny",
    "docker logs": "the container's own log",
    "nuctl version": 'Client version:\n"Label: 1.15.9, Git commit: 0, OS: linux, Arch: amd64, Go version: go1.23"',
    "nuctl get project": " nuclio | cvat",
    "nuctl get function": "",
    "nuctl deploy": "",
    "nuctl delete": "",
    "nuctl create": "",
    "kubectl": "",
    r"kubectl get namespace .*\.metadata\.uid": CLUSTER,
    "kubectl .*get pods -l nuclio.io/app=dashboard": "quay.io/nuclio/dashboard:1.15.9-amd64",
    "kubectl .*get pods -l nuclio.io/app=controller": "True",
    "kubectl .*get services": "cvat-nuclio-dashboard ClusterIP",
    "kubectl .*get deployment/nuclio-": "1/1/9/9/9",
    "kubectl get nodes": "\n1",
    "kubectl config current-context": "the-cluster",
    "kubectl .*logs": "the pod's own log",
    "nvidia-smi": "",
}
"""What a machine answers on which everything is in order. Later rules win over earlier ones."""


def write_healthy(folder: Path) -> None:
    """Write the rules of ``HEALTHY``."""
    for number, (pattern, answer) in enumerate(HEALTHY.items()):
        write_rule(folder, number, pattern, answer)


def write_rule(
    folder: Path,
    number: int,
    pattern: str,
    out: str = "",
    *,
    err: str = "",
    status: int = 0,
    seconds: float = 0,
    container: str = RUNNING,
    state: str = "",
) -> None:
    """A rule of ``stand_in.sh``; of a folder's rules the one with the highest number comes first."""
    rule = folder / f"{9999 - number}"
    rule.mkdir()
    texts = {"pattern": f"^{pattern}", "stdout": out + "\n" * bool(out), "stderr": err, "container": container}
    for name, value in {**texts, "status": status, "seconds": seconds, "state": state}.items():
        (rule / name).write_text(str(value) if name.startswith("std") else f"{value}\n")


@dataclass(frozen=True)
class Outcome:
    """How a run of deploy.sh ended."""

    status: int
    out: str
    err: str


class Machine:
    """Stand-ins under ``folder``, and the command run with nothing else: no tool of the real machine is reached.

    ``healthy`` is a folder with the rules of ``HEALTHY``; the machine's own win over them.
    """

    def __init__(self, folder: Path, ports: range, healthy: Path) -> None:
        self.folder = folder
        self.ports = ports
        self.rules = 0
        for name in ("bin", "rules", "state"):
            (folder / name).mkdir()
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(Path(__file__).with_name("stand_in.sh"))
        for tool in ("bash", "env", "readlink"):
            (folder / "bin" / tool).symlink_to(Path("/usr/bin") / tool)
        (folder / "bin" / "python3").symlink_to(sys.executable)
        (folder / "healthy").symlink_to(healthy)
        self.built("0123456789abcdef")

    def answer(self, pattern: str, out: str = "", **more: Any) -> None:
        """From now on a command line that starts as this pattern says is answered so; ``more`` as ``write_rule``."""
        write_rule(self.folder / "rules", self.rules, pattern, out, **more)
        self.rules += 1

    def lacks(self, tool: str) -> None:
        """The machine does not have this tool."""
        (self.folder / "bin" / tool).unlink()

    def built(self, image_id: str) -> None:
        """The next build gives an image with this id."""
        self.answer(r"docker image inspect .*\.Id\}", f"sha256:{image_id}")

    def built_bad(self, **more: Any) -> None:
        """The next build gives an image that nuctl cannot deploy; ``more`` as ``write_rule``."""
        self.built("bad0bad0bad0bad0")
        self.answer("nuctl deploy .*-bad0bad0bad0 ", **{"status": 1, **more})

    def deploy_tracker(self, *digits: str) -> Outcome:
        """Deploy the tracker, once for each image whose id is that digit only; the last outcome."""
        for digit in digits:
            self.built(digit * 16)
            outcome = self.deploy("sam2-tracker", "--cpu")
        return outcome

    def deploy(self, *arguments: str) -> Outcome:
        """Run the command with the ports of this machine's functions."""
        return self.start(*arguments, "--port-base", str(self.ports.start))

    def start(self, *arguments: str) -> Outcome:
        """Run ``promptable deploy`` with exactly these arguments."""
        self.forget()
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, self.environment(), clear=True), redirect_stdout(out), redirect_stderr(err):
            try:
                status = main(["deploy", *arguments])
            except SystemExit as stop:
                status = int(stop.code or 0)
        return Outcome(status, out.getvalue(), err.getvalue())

    def script(
        self, *arguments: str, script: Path = REPOSITORY / "deploy.sh", folder: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start ``./deploy.sh`` itself, in this working directory."""
        self.forget()
        return subprocess.Popen(  # noqa: S603
            [script, *arguments],
            env=self.environment(),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self) -> dict[str, str]:
        return {
            "PATH": str(self.folder / "bin"),
            "HOME": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108
            "STAND_INS": str(self.folder),
            "FORWARDING": str(Path(__file__).with_name("forwarding.py")),
        }

    def forget(self) -> None:
        """Start a new record."""
        (self.folder / "calls").write_text("")
        for file in self.folder.glob("deployed.*"):
            file.unlink()

    def calls(self, start: str = "") -> list[str]:
        """The command lines of the last run that begin with ``start``, in order."""
        return [line for line in (self.folder / "calls").read_text().splitlines() if line.startswith(start)]

    def deployed(self) -> list[dict[str, Any]]:
        """The files that nuctl was given in the last run, in order."""
        return [yaml.safe_load(path.read_text()) for path in sorted(self.folder.glob("deployed.*"))]

    def changes(self) -> list[str]:
        """What the last run changed on the machine, as command lines."""
        changing = (
            "docker build ",
            "docker tag",
            "docker push",
            "docker rmi",
            "nuctl deploy",
            "nuctl delete",
            "nuctl create",
        )
        return [line for line in self.calls() if line.startswith(changing)]

    def dropped(self) -> list[str]:
        """The images that the last run removed, but for the build's own temporary name."""
        calls = [call.removeprefix("docker rmi ") for call in self.calls("docker rmi ")]
        return [image for image in calls if ":promptable-deploy-" not in image]

    @property
    def remembered(self) -> Path:
        """The folder of what this user has deployed on this machine's engine."""
        return self.folder / "state" / "promptable" / f"local-nuclio-{ENGINE}"

    def forget_state(self) -> None:
        """As if another user, or another machine, had deployed."""
        for file in self.remembered.iterdir():
            file.unlink()


def repository_with(folder: Path, spec: dict[str, Any]) -> Path:
    """This repository, but for these keys in the spec of the tracker's function.yaml."""
    functions = folder / "repository" / "functions"
    for name in ("docker", "requirements"):
        shutil.copytree(REPOSITORY / name, folder / "repository" / name)
    shutil.copytree(REPOSITORY / "functions", functions)
    file = functions / "sam2-tracker" / "function.yaml"
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(document | {"spec": document["spec"] | spec}))
    return functions.parent


def image_of(deployed: dict[str, Any]) -> str:
    """The image in a file that nuctl was given."""
    image: str = deployed["spec"]["image"]
    return image


def environment_of(deployed: dict[str, Any]) -> dict[str, str]:
    """The variables in a file that nuctl was given."""
    return {entry["name"]: entry["value"] for entry in deployed["spec"]["env"]}


def nuclio_answers(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Nuclio says so often what it has, and then does not answer any more."""
    asked = [Nuclio.get] * times

    def answer(nuclio: Nuclio, function: str) -> Reported | None:
        if not asked:
            raise DeployError("connection refused")
        return asked.pop()(nuclio, function)

    monkeypatch.setattr(Nuclio, "get", answer)
