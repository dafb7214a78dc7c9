"""Each thing that can be wrong with the machine is found before anything is touched, and named with its remedy."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.machine import Machine

GROUP = "permission denied while trying to connect to the Docker daemon socket"

BROKEN: dict[str, tuple[Callable[[Machine], None], str, str]] = {
    "no docker daemon": (
        lambda m: m.answer("docker info", err="Cannot connect to the Docker daemon", status=1),
        "Docker is not reachable: Cannot connect",
        "systemctl start docker",
    ),
    "user not in the docker group": (
        lambda m: m.answer("docker info", err=GROUP, status=1),
        "this user may not use Docker",
        "usermod -aG docker",
    ),
    "no buildx": (
        lambda m: m.answer("docker buildx", status=1),
        "docker buildx is missing",
        "docker-buildx-plugin",
    ),
    "no nuctl": (
        lambda m: m.lacks("nuctl"),
        "nuctl is not installed",
        "releases/download/1.15.9/nuctl-1.15.9-linux-amd64",
    ),
    "another nuctl": (
        lambda m: m.answer("nuctl version", '"Label: 1.13.0, Git commit: 0"'),
        "nuctl is 1.13.0 and the Nuclio dashboard is 1.15.9",
        "releases/download/1.15.9/nuctl-1.15.9-linux-amd64",
    ),
    "CVAT does not run": (
        lambda m: m.answer("docker ps .*(service=|name=.)cvat_server", ""),
        "cvat_server: none, nuclio: nuclio",
        "docker compose -f docker-compose.yml -f components/serverless/docker-compose.serverless.yml up -d",
    ),
    "CVAT without Nuclio": (
        lambda m: m.answer("docker ps .*(service=|name=.)nuclio", ""),
        "cvat_server: cvat_server, nuclio: none",
        "docker-compose.serverless.yml up -d",
    ),
    "no common network": (
        lambda m: m.answer("docker inspect .*Networks.* nuclio", "elsewhere"),
        "cvat_server and nuclio share no Docker network",
        "CVAT's compose files",
    ),
    "host unknown to the server": (
        lambda m: m.answer("docker exec cvat_server getent", status=2),
        "cvat_server does not know host.docker.internal",
        "host.docker.internal:host-gateway",
    ),
    "host unknown to the annotation worker": (
        lambda m: m.answer("docker exec cvat_worker_annotation getent", status=2),
        "cvat_worker_annotation does not know host.docker.internal",
        "extra_hosts",
    ),
    "GPU not visible": (
        lambda m: m.answer("docker run", err="could not select device driver with capabilities: [[gpu]]", status=125),
        "containers do not see the GPU: could not select device driver",
        "nvidia-ctk runtime configure",
    ),
    "old driver": (
        lambda m: m.answer("docker run", "550.120"),
        "the NVIDIA driver is 550.120, and PyTorch with CUDA 13 needs 580",
        "update the driver",
    ),
    "port of another container": (
        lambda m: m.answer(f"docker ps .*publish={m.ports[0]}", "somebody"),
        "for grounding-dino, is taken by somebody",
        "--port-base",
    ),
    "port of another program": (
        lambda m: m.answer(f"docker ps .*publish={m.ports[0]}", ""),
        "for grounding-dino, is taken by another program",
        "ss -ltnp",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_problem_is_named_with_its_remedy_and_nothing_is_touched(machine: Machine, case: str) -> None:
    break_it, what, remedy = BROKEN[case]
    break_it(machine)
    outcome = machine.deploy("--gpu")
    assert outcome.status == 1
    lines = outcome.err.splitlines()
    (problem,) = [number for number, line in enumerate(lines) if what in line]
    assert remedy in lines[problem + 1]
    assert machine.changes() == []


@pytest.mark.parametrize(
    ("docker", "dashboard", "refused"),
    [("28.2.2", "1.13.0", False), ("29.0.1", "1.13.0", True), ("29.0.1", "1.15.9", False)],
)
def test_docker_29_refuses_an_old_dashboard(machine: Machine, docker: str, dashboard: str, refused: bool) -> None:
    machine.answer("docker info .*ServerVersion", docker)
    machine.answer(r"docker inspect .*Config\.Image.* nuclio", f"quay.io/nuclio/dashboard:{dashboard}-amd64")
    machine.answer("nuctl version", f'"Label: {dashboard}, Git commit: 0"')
    outcome = machine.deploy("sam2-tracker", "--cpu", "--dry-run")
    assert ("refuses the old Docker client" in outcome.err) is refused
    assert ("min-api-version" in outcome.err) is refused


def test_every_problem_is_named_in_one_run(machine: Machine) -> None:
    for case in ("no buildx", "another nuctl", "no common network"):
        BROKEN[case][0](machine)
    assert machine.deploy("--cpu").err.count("PROBLEM") == 3 + 1, "and the sum"


@pytest.mark.parametrize(
    ("blocks", "what"),
    [(2_097_152, "has 2 GB free, and building the images needs 12"), (0, "/tmp has 0 GB free, and nuctl needs 1")],  # noqa: S108
)
def test_too_little_disk_space(machine: Machine, tmp_path: Path, blocks: int, what: str) -> None:
    (tmp_path / "bin" / "df").write_text(f"#!/bin/sh\necho header\necho 'disk 1 1 {blocks} 1% /'\n")
    (tmp_path / "bin" / "df").chmod(0o755)
    machine.answer("docker info .*DockerRootDir", str(tmp_path))
    outcome = machine.deploy("--cpu")
    assert what in outcome.err
    assert "docker builder prune" in outcome.err
    assert machine.changes() == []
    assert "needs 12" not in machine.deploy("sam2-tracker", "--cpu", "--no-build").err


def test_a_python_without_yaml_is_not_taken(machine: Machine, tmp_path: Path) -> None:
    without = "#!/bin/sh\nexit 1\n"
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        (tmp_path / "bin" / name).unlink(missing_ok=True)
        (tmp_path / "bin" / name).write_text(without)
        (tmp_path / "bin" / name).chmod(0o755)
    outcome = machine.start("--cpu", script=machine.without_environment())
    assert "no Python from 3.11 on with PyYAML" in outcome.err
    assert "python3-yaml" in outcome.err


def test_a_dashboard_open_to_the_world_is_warned_of(machine: Machine) -> None:
    machine.answer("docker port nuclio", "0.0.0.0:8070")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 0
    assert "open to every machine" in outcome.err
    assert "127.0.0.1:8070:8070" in outcome.err


def test_a_cvat_that_calls_through_the_dashboard_needs_no_way_to_the_host(machine: Machine) -> None:
    machine.answer("docker exec .* printenv CVAT_NUCLIO_INVOKE_METHOD", "dashboard")
    machine.answer("docker exec .* getent", status=2)
    assert machine.deploy("sam2-tracker", "--cpu").status == 0


def test_a_cvat_that_does_not_answer(machine: Machine) -> None:
    machine.answer("curl", err="curl: (7) Failed to connect", status=7)
    outcome = machine.deploy("--cpu", "--cvat-url", "http://nowhere")
    assert outcome.status == 1
    assert "CVAT does not answer at http://nowhere" in outcome.err


def test_no_image_for_no_build(machine: Machine) -> None:
    outcome = machine.deploy("sam2-tracker", "--cpu", "--no-build")
    assert outcome.status == 1
    assert "no image of sam2-tracker yet" in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("sam3",), "there is no function sam3"),
        (("--platform", "auto"), "--platform is local or kube, not auto"),
        (("--labels", "/nowhere.yaml"), "there is no file /nowhere.yaml"),
        (("--weights", "/nowhere"), "there is no folder /nowhere"),
        (("--redis", "user:secret@host:6379"), "expected HOST:PORT without user or password"),
        (("--redis", "host"), "expected HOST:PORT"),
        (("--redis-tls",), "need --redis"),
        (("--redis", "host:1", "--redis-secret", "login"), "--redis-secret is for --platform kube"),
        (("--redis", "host:1", "--redis-password-file", "/nowhere"), "there is no file /nowhere"),
        (
            ("--redis", "host:1", "--redis-password-file", "/dev/null", "--platform", "kube"),
            "--redis-password-file is for --platform local",
        ),
        (("--labels",), "--labels needs a value"),
        (("--labels", ""), "--labels needs a value"),
        (("--labels", "--no-build"), "--labels needs a value, and --no-build is the next option"),
        (("--toleration", ""), "--toleration needs a value"),
        (("--gpu", "--cpu"), "--gpu and --cpu cannot both be"),
        (("--port-base", "70000"), "expected a port number from 1024 to 65533, got 70000"),
        (("--weights", "/tmp", "--no-build"), "--no-build makes none"),  # noqa: S108
        (("sam2-tracker", "--labels", str(Path(__file__))), "--labels is for grounding-dino"),
        (("--weights-pvc", "claim"), "--weights-pvc is for --platform kube"),
        (("--replicas", "2"), "--replicas is for --platform kube"),
        (("--registry", "registry.example.com"), "--registry is for --platform kube"),
        (("--toleration", "gpu"), "--toleration is for --platform kube"),
        (("--platform", "kube", "--port-base", "32101"), "--port-base is for --platform local"),
        (("--gpus",), "unknown option --gpus"),
        (("--port-base", "http"), "expected a port number from 1024 to 65533, got http"),
        (("--dry-run", "sam3"), "there is no function sam3"),
    ],
)
def test_wrong_options(machine: Machine, arguments: tuple[str, ...], what: str) -> None:
    outcome = machine.start(*arguments)
    assert outcome.status == 1
    assert what in outcome.err
    assert machine.calls() == []


@pytest.mark.skipif(1000 in (os.getuid(), os.getgid()), reason="the files of the test belong to the containers' user")
@pytest.mark.parametrize(("mode", "readable"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_password_that_the_containers_cannot_read(
    machine: Machine, tmp_path: Path, mode: int, readable: bool
) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(mode)
    outcome = machine.deploy("--cpu", "--dry-run", "--redis", "host:1", "--redis-password-file", str(password))
    assert (outcome.status == 0) is readable
    assert ("sudo chown 1000" in outcome.err) is not readable


def test_the_manual_names_every_option(machine: Machine) -> None:
    manual = machine.start("--help").out
    script = (Path(__file__).parents[2] / "docker/lib/options.sh").read_text()
    parser = script[script.index("parse_options()") : script.index("need_value()")]
    options = set(re.findall(r"--[a-z-]+[a-z]", parser))
    assert len(options) > 15
    assert sorted(option for option in options if option not in manual) == []
