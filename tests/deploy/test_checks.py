"""Each thing that can be wrong with the machine is found before anything is touched, and named with its remedy."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from promptable.cli.deploy import command
from promptable.deploy.image.build import packages_digest
from promptable.deploy.platforms import host
from tests.deploy.conftest import Answering
from tests.deploy.machine import REPOSITORY, Machine, repository_with

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
    "dashboard in a crash loop": (
        lambda m: m.answer(
            "docker exec nuclio docker version",
            err="Error response from daemon: Container 67aff4 is restarting, wait until the container is running",
            status=1,
        ),
        "Nuclio's dashboard nuclio does not work: Error response from daemon: Container 67aff4 is restarting",
        "docker logs nuclio says why",
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
        lambda m: m.answer("docker run", "550.120, NVIDIA L4, 8.9, 23034, 22500"),
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


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_a_user_without_a_name_and_without_docker(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    monkeypatch.setattr("getpass.getuser", Mock(side_effect=error("getpwuid(): uid not found: 4711")))
    machine.answer("docker info", err=GROUP, status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "this user may not use Docker" in outcome.err
    assert "a user of the group docker" in outcome.err


def test_an_engine_that_refuses_the_dashboards_client(machine: Machine) -> None:
    old = "Error response from daemon: client version 1.42 is too old. Minimum supported API version is 1.44"
    machine.answer("docker exec nuclio docker version", err=old, status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "Docker refuses the client in Nuclio's dashboard 1.15.9: " in outcome.err
    assert "Minimum supported API version is 1.44" in outcome.err
    assert "min-api-version" in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize(
    ("engine", "buildx", "what"),
    [
        ("20.10.24+dfsg1", "v0.36.1", "Docker 20.10.24+dfsg1 cannot build the images, which needs 25.0"),
        ("25.0.1", "v0.9.1", "docker buildx is 0.9.1, and the images need 0.10"),
    ],
)
def test_an_engine_or_a_buildx_that_is_too_old(machine: Machine, engine: str, buildx: str, what: str) -> None:
    machine.answer("docker version .*Server", engine)
    machine.answer("docker buildx version", f"github.com/docker/buildx {buildx} abcdef")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert what in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize(
    ("cards", "problem", "warning"),
    [
        (["Tesla V100-SXM2-16GB, 7.0"], True, False),
        (["NVIDIA GeForce GTX 1080 Ti, 6.1", "Tesla T4, 7.5"], False, True),
        (["Tesla T4, 7.5"], False, False),
    ],
)
def test_a_card_that_pytorch_has_no_kernels_for(
    machine: Machine, cards: list[str], problem: bool, warning: bool
) -> None:
    machine.answer("docker run .*nvidia-smi", "\n".join(f"580.95.05, {card}, 16160, 15900" for card in cards))
    outcome = machine.deploy("sam2-tracker", "--gpu")
    assert (outcome.status == 1) is problem
    assert (f"no kernels for {cards[0].split(',')[0]}" in outcome.err) is (problem or warning)
    assert ("PROBLEM" in outcome.err) is problem


def test_a_gpu_without_memory_of_its_own(machine: Machine) -> None:
    machine.answer("docker run .*nvidia-smi", "580.95.05, NVIDIA GB10, 12.1, [N/A], [N/A]")
    outcome = machine.deploy("sam2-tracker", "--gpu")
    assert outcome.status == 0, outcome.err
    assert "GPU 0 free: ? of ? GB (NVIDIA GB10)" in outcome.out


@pytest.mark.parametrize(("dashboard", "alpine"), [("1.13.7", "3.17"), ("1.13.8", "3.20"), ("1.15.9", "3.20")])
def test_nuclios_helper_image_must_be_had(machine: Machine, dashboard: str, alpine: str) -> None:
    machine.answer(r"docker inspect .*Config\.Image.* nuclio", f"quay.io/nuclio/dashboard:{dashboard}-amd64")
    machine.answer("nuctl version", f'"Label: {dashboard}, Git commit: 0"')
    machine.answer("docker image inspect gcr.io", err="Error: No such image", status=1)
    assert machine.deploy("sam2-tracker", "--cpu").status == 0, "it can be pulled"
    assert machine.calls("docker pull") == [f"docker pull gcr.io/iguazio/alpine:{alpine}"]
    machine.deploy("sam2-tracker", "--cpu", "--dry-run")
    assert machine.calls("docker pull") == []
    machine.answer("docker pull", err="Error response from daemon: no such host", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert (
        f"helper image gcr.io/iguazio/alpine:{alpine} is not here and cannot be pulled: Error response" in outcome.err
    )
    assert machine.changes() == []


def test_every_problem_is_named_in_one_run(machine: Machine) -> None:
    for case in ("no buildx", "another nuctl", "no common network"):
        BROKEN[case][0](machine)
    assert machine.deploy("--cpu").err.count("PROBLEM") == 3 + 1, "and the sum"


@pytest.mark.parametrize(
    ("free", "cached", "model", "what"),
    [
        (7, False, "sam2.1-tiny", "has 7 GB free, and building the images needs 8"),
        (2, True, "sam2.1-tiny", ""),
        (2, True, "sam2.1-large", "has 2 GB free, and building the images needs 6"),
        (0, True, "sam2.1-tiny", "/tmp has 0 GB free, and nuctl needs 1"),  # noqa: S108
    ],
)
def test_too_little_disk_space(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, cached: bool, model: str, what: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free << 30))
    machine.answer(r"docker info .*\{json", json.dumps({"DockerRootDir": str(tmp_path)}))
    if cached:
        machine.answer("docker image inspect .*promptable.packages", packages_digest(REPOSITORY))
    outcome = machine.deploy("sam2-tracker", "--cpu", "--model", model)
    assert (outcome.status == 1) is bool(what)
    assert what in outcome.err
    assert ("docker builder prune" in outcome.err) is bool(what)
    assert "building" not in machine.deploy("sam2-tracker", "--cpu", "--no-build").err


def test_checkpoints_that_are_in_an_image_already_take_no_disk_again(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 << 30))
    machine.answer(r"docker info .*\{json", json.dumps({"DockerRootDir": str(tmp_path)}))
    machine.answer("docker image inspect .*promptable.packages", packages_digest(REPOSITORY))
    machine.answer("docker images .*promptable-sam2-tracker", "promptable-sam2-tracker:cpu-aaaaaaaaaaaa")
    assert machine.deploy("sam2-tracker", "--cpu", "--model", "sam2.1-large").status == 0


@pytest.mark.parametrize(
    ("status", "own", "folder"),
    [
        ([["Backing Filesystem", "extfs"]], False, "root"),
        ([["driver-type", "io.containerd.snapshotter.v1"]], True, "root/containerd"),
    ],
)
def test_where_the_images_lie(machine: Machine, tmp_path: Path, status: object, own: bool, folder: str) -> None:
    (tmp_path / "root" / ("containerd" if own else "")).mkdir(parents=True)
    machine.answer(
        r"docker info .*\{json", json.dumps({"DockerRootDir": str(tmp_path / "root"), "DriverStatus": status})
    )
    assert f"GB in {tmp_path / folder}\n" in machine.deploy("sam2-tracker", "--cpu", "--dry-run").out


@pytest.mark.parametrize("address", ["0.0.0.0:8070", "[::]:8070"])
def test_a_dashboard_open_to_the_world_is_warned_of(machine: Machine, address: str) -> None:
    machine.answer("docker port nuclio", address)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 0
    assert "open to every machine" in outcome.err
    assert "127.0.0.1:8070:8070" in outcome.err


def test_a_cvat_that_calls_through_the_dashboard_needs_no_way_to_the_host(machine: Machine) -> None:
    machine.answer("docker exec .* printenv CVAT_NUCLIO_INVOKE_METHOD", "dashboard")
    machine.answer("docker exec .* getent", status=2)
    assert machine.deploy("sam2-tracker", "--cpu").status == 0


def test_a_dashboard_of_an_unknown_version_is_not_compared_with_nuctl(machine: Machine) -> None:
    machine.answer(r"docker inspect .*Config\.Image.* nuclio", err="No such object", status=1)
    assert "the Nuclio dashboard is" not in machine.deploy("sam2-tracker", "--cpu", "--dry-run").err


def test_a_cvat_without_a_worker_of_its_own_for_annotation(machine: Machine) -> None:
    machine.answer("docker ps .*(service=|name=.)cvat_worker_annotation", "")
    machine.answer("docker exec  (printenv|getent)", status=1)
    assert machine.deploy("sam2-tracker", "--cpu").status == 0


def test_containers_that_no_compose_file_has_named_are_found_by_their_names(machine: Machine) -> None:
    machine.answer("docker ps .*service=(cvat_server|nuclio)", "")
    machine.answer("docker ps .*name=.cvat_server", "cvat_server")
    machine.answer("docker ps .*name=.nuclio", "nuclio")
    assert machine.deploy("sam2-tracker", "--cpu").status == 0


def test_a_port_that_docker_publishes_without_a_program_that_listens(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1] - 2  # the tracker has the third of three ports
    machine.answer(f"docker ps .*publish={free + 2}", "somebody")
    outcome = machine.start("sam2-tracker", "--cpu", "--port-base", str(free))
    assert f"port {free + 2}, for sam2-tracker, is taken by somebody" in outcome.err


@pytest.mark.parametrize("attributes", [{}, {"port": 0}])
def test_a_function_without_a_port(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attributes: dict[str, int]
) -> None:
    triggers = {"http": {"kind": "http", "attributes": attributes}}
    monkeypatch.setattr(command, "REPOSITORY", repository_with(tmp_path, {"triggers": triggers}))
    outcome = machine.start("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "sam2-tracker has no port: its function.yaml lacks spec.triggers.http.attributes.port" in outcome.err
    assert "--port-base" in outcome.err
    assert machine.changes() == []
    assert machine.deploy("sam2-tracker", "--cpu").status == 0


def test_a_port_that_a_program_takes_for_ipv6_alone_is_taken(machine: Machine) -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(("::", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert host.taken(port)
    assert not host.taken(port)


def test_a_cvat_that_does_not_answer(machine: Machine) -> None:
    outcome = machine.deploy("--cpu", "--cvat-url", "http://127.0.0.1:1")
    assert outcome.status == 1
    assert "CVAT does not answer at http://127.0.0.1:1: " in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize("url", ["localhost", "http://local host:80", "http://[", "http://127.0.0.1:port"])
def test_an_address_of_cvat_that_is_none(machine: Machine, url: str) -> None:
    outcome = machine.deploy("--cpu", "--cvat-url", url)
    assert outcome.status == 1
    assert f"CVAT does not answer at {url}: " in outcome.err
    assert "--cvat-url takes the address that you open CVAT at" in outcome.err


def test_something_else_than_http_at_the_address_of_cvat(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=lambda: server.accept()[0].sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))
        thread.start()
        outcome = machine.deploy("--cpu", "--cvat-url", url)
        thread.join()
    assert outcome.status == 1
    assert f"CVAT does not answer at {url}: " in outcome.err


def test_a_cvat_on_this_machine_is_not_asked_for_through_a_proxy(
    machine: Machine, answering: tuple[Answering, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = {"http_proxy": "http://127.0.0.1:1"}
    monkeypatch.setattr(machine, "environment", lambda: Machine.environment(machine) | proxy)
    answering[0].answer = {"version": "2.50.0"}
    url = f"http://127.0.0.1:{answering[0].server_port}"
    assert "answers as mask" in machine.deploy("sam-interactor", "--cpu", "--dry-run", "--cvat-url", url).out
    assert "CVAT does not answer" in machine.deploy("--cpu", "--dry-run", "--cvat-url", "http://cvat.example.org").err


def test_a_driver_too_old_to_be_asked_for_the_cards_capability(machine: Machine) -> None:
    machine.answer("docker run .*nvidia-smi", 'Field "compute_cap" is not a valid field to query.', status=2)
    outcome = machine.deploy("sam2-tracker", "--gpu")
    assert outcome.status == 1
    assert "PyTorch with CUDA 13 needs 580" in outcome.err
    assert "nvidia-container-toolkit" not in outcome.err


@pytest.mark.parametrize("option", ["--labels", "--redis-password-file", "--weights", "--ca"])
def test_a_file_that_the_system_does_not_look_at(machine: Machine, option: str) -> None:
    outcome = machine.deploy("--cpu", option, "/" + "x" * 300)
    assert outcome.status == 1
    assert "File name too long" in outcome.err
    assert "may this user read and write there" in outcome.err


def test_a_model_in_a_home_that_nobody_knows(machine: Machine) -> None:
    outcome = machine.deploy("sam2-tracker", "--cpu", "--model", "~nobody-of-this-name/model")
    assert outcome.status == 1
    assert "expected a model folder or one of" in outcome.err


def test_no_image_for_no_build(machine: Machine) -> None:
    outcome = machine.deploy("sam2-tracker", "--cpu", "--no-build")
    assert outcome.status == 1
    assert "no image of sam2-tracker yet" in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("sam3",), "there is no function sam3"),
        (("--platform", "auto"), "invalid choice: 'auto'"),
        (("--labels", "/nowhere.yaml"), "there is no file /nowhere.yaml"),
        (("--weights", "/nowhere"), "there is no folder /nowhere"),
        (("--redis", "user:secret@host:6379"), "expected HOST:PORT without user or password"),
        (("--redis", "host"), "expected HOST:PORT"),
        (("--redis", "host:99999"), "expected a port from 1 to 65535, got 99999"),
        (("--labels", "~nobody-of-this-name/labels.yaml"), "does not know whose home"),
        (("--redis-tls",), "--redis-tls needs --redis"),
        (("--redis-ca", "/dev/null"), "--redis-ca needs --redis"),
        (("--redis", "host:1", "--redis-ca", "/dev/null"), "needs --redis-tls"),
        (("--redis", "host:1", "--redis-secret", "login"), "--redis-secret is for --platform kube"),
        (("--redis", "host:1", "--redis-password-file", "/nowhere"), "there is no file /nowhere"),
        (
            ("--redis", "host:1", "--redis-password-file", "/dev/null", "--platform", "kube"),
            "--redis-password-file is for --platform local",
        ),
        (("--labels",), "--labels: expected one argument"),
        (("--labels", ""), "--labels: needs a value"),
        (("--labels", "--no-build"), "--labels: expected one argument"),
        (("--toleration", ""), "--toleration: expected key"),
        (("--gpu", "--cpu"), "--cpu: not allowed with argument --gpu"),
        (("--port-base", "70000"), "expected a port number from 1024 to 65533, got 70000"),
        (("--weights", "/tmp", "--no-build"), "--no-build makes none"),  # noqa: S108
        (("sam2-tracker", "--labels", str(Path(__file__))), "--labels is for grounding-dino"),
        (("--weights-pvc", "claim"), "--weights-pvc is for --platform kube"),
        (("--replicas", "2"), "--replicas is for --platform kube"),
        (("--registry", "registry.example.com"), "--registry is for --platform kube"),
        (("--toleration", "gpu"), "--toleration is for --platform kube"),
        (("--platform", "kube", "--port-base", "32101"), "--port-base is for --platform local"),
        (("--gpus",), "unrecognized arguments: --gpus"),
        (("--port-base", "http"), "--port-base: invalid int value: 'http'"),
        (("--dry-run", "sam3"), "there is no function sam3"),
    ],
)
def test_wrong_options(machine: Machine, arguments: tuple[str, ...], what: str) -> None:
    outcome = machine.start(*arguments)
    assert outcome.status in (1, 2)
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
