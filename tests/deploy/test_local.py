"""deploy.sh on Docker, against recording stand-ins of docker and nuctl."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from socket import create_server
from typing import Any

import pytest

from promptable.cli.deploy import command
from promptable.deploy.image.own_model import OwnModel
from promptable.models.catalogue import OFFICIAL
from tests.deploy.conftest import Answering
from tests.deploy.machine import REPOSITORY, Machine, environment_of, image_of, repository_with


def test_all_three_are_built_deployed_called_and_listed(machine: Machine, answering: tuple[Answering, ...]) -> None:
    outcome = machine.deploy("--gpu")
    assert outcome.status == 0, outcome.err
    builds = machine.calls("docker build ")
    assert "--target base --build-arg DEVICE=gpu --build-arg NUCLIO_VERSION=1.15.9" in builds[0]
    assert [build.split("MODELS=")[1].split(" --")[0] for build in builds[1:]] == [
        "swin-t vit_b",
        "sam2.1-large",
        "sam2.1-large",
    ]
    assert [image_of(deployed) for deployed in machine.deployed()] == [
        f"promptable-{name}:gpu-0123456789ab" for name in ("grounding-dino", "sam-interactor", "sam2-tracker")
    ]
    assert [len(server.bodies) for server in answering] == [2, 2, 2]
    table = outcome.out[outcome.out.index("== deployed") :]
    assert [line.split()[:4] for line in table.splitlines()[2:]] == [
        ["grounding-dino", "swin-t", "gpu", str(machine.ports[0])],
        ["sam-interactor", "sam2.1-large", "gpu", str(machine.ports[1])],
        ["sam2-tracker", "sam2.1-large", "gpu", str(machine.ports[2])],
    ]


def test_nuctl_is_told_the_platform_and_builds_nothing(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    assert all(
        "--platform local --namespace nuclio" in call for call in machine.calls("nuctl") if "version" not in call
    )
    (deploy,) = machine.calls("nuctl deploy")
    assert "--run-image promptable-sam2-tracker:cpu-0123456789ab" in deploy
    assert "--path" not in deploy
    (deployed,) = machine.deployed()
    spec: Any = deployed["spec"]
    assert "build" not in spec
    assert "nvidia.com/gpu" not in json.dumps(spec)
    assert spec["platform"]["attributes"]["network"] == "cvat_cvat"
    assert spec["triggers"]["http"]["attributes"]["port"] == machine.ports[2]
    assert environment_of(deployed)["PROMPTABLE_DEVICE"] == "cpu"


def test_wrong_labels_touch_nothing(machine: Machine, tmp_path: Path) -> None:
    labels = tmp_path / "labels.yaml"
    labels.write_text("- name: rust\n  kind: mask\n")
    outcome = machine.deploy("grounding-dino", "--cpu", "--labels", str(labels))
    assert outcome.status == 1
    assert "label 'rust': kind is unknown" in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize(
    ("tag", "url", "form"),
    [
        ("v2.70.0", None, "shapes"),
        ("v2.42.0", None, "mask"),
        ("dev", None, "shapes"),
        ("dev", "2.59.1", "mask"),
        ("v2.42.0", "2.60.0", "shapes"),
    ],
)
def test_cvats_version_selects_the_interactors_answer(
    machine: Machine, answering: tuple[Answering, ...], tag: str, url: str | None, form: str
) -> None:
    machine.answer(r"docker inspect .*Config\.Image.* cvat_server", f"cvat/server:{tag}")
    answering[0].answer = {"name": "CVAT", "version": url}
    cvat = ["--cvat-url", f"http://127.0.0.1:{answering[0].server_port}/"] if url else []
    outcome = machine.deploy("sam-interactor", "--cpu", "--dry-run", *cvat)
    assert f"- name: PROMPTABLE_ANSWER_FORM\n    value: {form}\n" in outcome.out


def test_one_that_fails_does_not_keep_the_others_from_coming_up(machine: Machine) -> None:
    machine.answer("nuctl deploy grounding-dino", status=1)
    outcome = machine.deploy("--cpu")
    assert outcome.status == 1
    assert "not deployed: grounding-dino" in outcome.err
    assert len(machine.calls("nuctl deploy")) == 3


def test_a_lost_container_is_started_again_and_what_was_before_stays_known(machine: Machine, tmp_path: Path) -> None:
    machine.deploy_tracker("a", "b")
    (tmp_path / "container.sam2-tracker").write_text("")
    assert machine.deploy("sam2-tracker", "--cpu").status == 0
    assert len(machine.calls("nuctl deploy")) == 1
    machine.start("rollback", "sam2-tracker")
    assert [image_of(deployed) for deployed in machine.deployed()] == ["promptable-sam2-tracker:cpu-aaaaaaaaaaaa"]


def test_only_two_images_of_a_function_stay(machine: Machine) -> None:
    machine.deploy_tracker("a", "b", "c")
    assert machine.dropped() == ["promptable-sam2-tracker:cpu-aaaaaaaaaaaa"]


def test_an_image_that_a_container_uses_stays(machine: Machine) -> None:
    machine.answer("docker ps --all", "promptable-sam2-tracker:cpu-aaaaaaaaaaaa")
    machine.deploy_tracker("a", "b", "c")
    assert machine.dropped() == []


def test_an_image_that_somebody_removed_already_is_no_news(machine: Machine) -> None:
    machine.answer("docker image inspect promptable-sam2-tracker:cpu-aaaaaaaaaaaa", status=1)
    outcome = machine.deploy_tracker("a", "b", "c")
    assert machine.dropped() == []
    assert "warning" not in outcome.err


def _called_unhealthy(machine: Machine) -> None:
    """As Nuclio stores it: the rest stays, the port too."""
    stored = machine.folder / "nuclio.sam2-tracker"
    stored.write_text(stored.read_text().replace("state: ready", "state: unhealthy"))


def test_a_function_that_answers_again_is_left_alone_though_nuclio_still_calls_it_unhealthy(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    _called_unhealthy(machine)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "unchanged" in outcome.out
    assert machine.calls("nuctl deploy") == []
    assert "warning" not in outcome.err


@pytest.mark.parametrize("container", ["frozen running 0 unhealthy", "frozen paused 0 healthy"])
def test_a_container_that_does_not_answer_is_deployed_again(machine: Machine, container: str) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    _called_unhealthy(machine)
    (machine.folder / "container.sam2-tracker").write_text(f"{container}\n")
    assert machine.deploy("sam2-tracker", "--cpu").status == 0
    assert len(machine.calls("nuctl deploy")) == 1


@pytest.fixture
def no_nohup() -> Iterator[None]:
    """Whoever runs the tests may ignore SIGHUP, which what they start would take over."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("no_nohup")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_ends_nuctl_too(machine: Machine, how: signal.Signals) -> None:
    machine.answer("nuctl deploy", seconds=60)
    process = machine.script("sam2-tracker", "--cpu", "--port-base", str(machine.ports.start))
    while not machine.calls("nuctl deploy"):
        time.sleep(0.05)
    process.send_signal(how)
    _, err = process.communicate(timeout=50)  # a nuctl that lives on would hold the pipe open
    assert process.returncode == 130
    assert "run the same command again" in err


def test_a_missing_project_is_created(machine: Machine) -> None:
    machine.answer("nuctl get project", "No projects found")
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.calls("nuctl create") == ["nuctl create project cvat --platform local --namespace nuclio"]


def test_a_damaged_checkpoint_is_named_before_anything_is_built(machine: Machine, tmp_path: Path) -> None:
    damaged = tmp_path / OFFICIAL["sam2.1-large"].file_name
    damaged.write_bytes(b"half of it")
    outcome = machine.deploy("--cpu", "--weights", str(tmp_path))
    assert outcome.status == 1
    assert f"{damaged} is damaged or not the official file: remove it" in outcome.err
    assert machine.changes() == []
    assert machine.deploy("grounding-dino", "--cpu", "--weights", str(tmp_path)).status == 0, "it does not need it"


def test_a_model_is_for_one_function_that_can_run_it(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu", "--model", "sam2.1-tiny")
    assert "MODELS=sam2.1-tiny" in machine.calls("docker build ")[1]
    assert "exactly one FUNCTION" in machine.deploy("--cpu", "--model", "sam2.1-tiny").err
    wrong = machine.deploy("sam2-tracker", "--cpu", "--model", "vit_b")
    assert "a tracker runs one of sam2.1-tiny" in wrong.err
    assert machine.changes() == []


def test_the_password_of_redis_is_mounted_and_never_shown(machine: Machine, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("not-to-be-seen")
    password.chmod(0o644)
    redis = ("--redis", "cvat_redis_ondisk:6666", "--redis-password-file", str(password))
    outcome = machine.deploy("--cpu", *redis)
    assert outcome.status == 0, outcome.err
    specs = {document["metadata"]["name"]: document["spec"] for document in machine.deployed()}
    assert "REDIS" not in str(specs["grounding-dino"])
    for function in ("sam-interactor", "sam2-tracker"):
        (volume,) = specs[function]["volumes"]
        assert volume["volume"]["hostPath"] == {"path": str(password)}
        assert volume["volumeMount"]["mountPath"] == "/run/secrets/redis/password"
        assert volume["volumeMount"]["readOnly"] is True
    assert "not-to-be-seen" not in outcome.out + outcome.err + str(specs) + "".join(machine.calls())


def test_a_nuclio_that_does_not_answer_touches_nothing(machine: Machine) -> None:
    machine.answer("nuctl get function", err="Error - dial tcp: connection refused", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "Nuclio does not say whether sam2-tracker is deployed: Error - dial tcp: connection refused" in outcome.err
    assert machine.changes() == []


def test_what_the_shell_completes_names_the_function(machine: Machine) -> None:
    outcome = machine.deploy("functions/sam2-tracker/", "--cpu")
    assert outcome.status == 0, outcome.err
    assert [call.split()[2] for call in machine.calls("nuctl deploy")] == ["sam2-tracker"]


@pytest.mark.parametrize(("text", "what"), [("- [", "labels.yaml: not YAML"), ("- 3\n", "labels.yaml: a label")])
def test_labels_are_read_before_the_machine_is_checked(machine: Machine, tmp_path: Path, text: str, what: str) -> None:
    labels = tmp_path / "labels.yaml"
    labels.write_text(text)
    machine.answer("docker info", err="Cannot connect", status=1)
    outcome = machine.deploy("grounding-dino", "--cpu", "--labels", str(labels))
    assert outcome.status == 1
    assert what in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.err.index(what) < outcome.err.index("Docker is not reachable")


def test_more_labels_than_nuctl_can_hand_to_docker(machine: Machine, tmp_path: Path) -> None:
    labels = tmp_path / "labels.yaml"
    labels.write_text("".join(f"- a thing with the number {number}\n" for number in range(600)))
    outcome = machine.deploy("grounding-dino", "--cpu", "--labels", str(labels))
    assert outcome.status == 1
    assert "leave labels out or shorten" in outcome.err
    assert machine.changes() == []


def test_two_runs_at_once(machine: Machine) -> None:
    machine.answer("nuctl deploy", seconds=60)
    with machine.script("sam2-tracker", "--cpu", "--port-base", str(machine.ports.start)) as first:
        while not machine.calls("nuctl deploy"):
            time.sleep(0.05)
        second = machine.deploy("sam2-tracker", "--cpu")
        first.send_signal(signal.SIGTERM)
    assert second.status == 1
    assert "another deploy.sh is at work on local, namespace nuclio" in second.err
    assert machine.changes() == []


def test_a_function_of_which_nuclio_tells_cvat_another_port_is_deployed_anew(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    stored = machine.folder / "nuclio.sam2-tracker"
    stored.write_text(stored.read_text().replace(f"httpPort: {machine.ports[2]}", "httpPort: 0"))
    assert "running" in machine.start("status", "sam2-tracker").out
    assert machine.deploy("sam2-tracker", "--cpu").status == 0
    assert len(machine.calls("nuctl deploy")) == 1


def test_a_redis_that_does_not_answer_is_found_before_anything_is_deployed(machine: Machine, tmp_path: Path) -> None:
    machine.answer("docker run .*--network", "invalid username-password pair", status=1)
    outcome = machine.deploy("--cpu", "--redis", "redis:6379")
    assert outcome.status == 1
    assert "Redis at redis:6379 does not answer on CVAT's network: invalid username-password pair" in outcome.err
    assert machine.calls("nuctl deploy") == []


def test_a_redis_with_a_certificate_of_ones_own(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("an authority")
    machine.answer("docker run .*--network", "SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", status=1)
    machine.answer("docker run .*redis-ca.crt", "ok")
    outcome = machine.deploy("sam2-tracker", "--cpu", "--redis", "redis:6379", "--redis-tls")
    assert "--redis-ca FILE names the authority" in outcome.err
    redis = ("--redis", "redis:6379", "--redis-tls", "--redis-ca", str(tmp_path / "ca.crt"))
    assert machine.deploy("sam2-tracker", "--cpu", *redis).status == 0
    (deployed,) = machine.deployed()
    assert environment_of(deployed)["CVAT_FUNCTIONS_REDIS_CA_FILE"] == "/run/secrets/redis-ca.crt"


def test_a_redis_that_answers_is_in_the_table(machine: Machine) -> None:
    table = machine.deploy("--cpu", "--redis", "redis:6379").out.splitlines()[-3:]
    assert [line.split()[4] for line in table] == ["-", "ok", "ok"]
    (asked, _) = machine.calls("docker run --rm --interactive")
    assert "--network cvat_cvat --env CVAT_FUNCTIONS_REDIS_HOST=redis --env CVAT_FUNCTIONS_REDIS_PORT=6379" in asked


def test_redis_is_asked_with_what_function_yaml_says_of_it_too(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {
        "CVAT_FUNCTIONS_REDIS_TLS": "true",
        "CVAT_FUNCTIONS_REDIS_CA_FILE": "/run/ca/ca.crt",
        "PROMPTABLE_STORE_MB": "1",
    }
    env = [{"name": name, "value": value} for name, value in own.items()]
    volume = {
        "volume": {"name": "ca", "hostPath": {"path": "/etc/ca"}},
        "volumeMount": {"name": "ca", "mountPath": "/run/ca"},
    }
    monkeypatch.setattr(command, "REPOSITORY", repository_with(tmp_path, {"env": env, "volumes": [volume]}))
    assert machine.deploy("sam2-tracker", "--cpu", "--redis", "redis:6379").status == 0
    (asked,) = machine.calls("docker run --rm --interactive")
    assert "--env CVAT_FUNCTIONS_REDIS_TLS=true --env CVAT_FUNCTIONS_REDIS_CA_FILE=/run/ca/ca.crt" in asked
    assert "--volume /etc/ca:/run/ca:ro" in asked
    assert "PROMPTABLE_STORE_MB" not in asked


def test_what_the_build_needs_of_the_network_is_in_no_layer(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ca.pem", "pip.conf"):
        (tmp_path / name).write_text("")
    environment = {**machine.environment(), "HTTPS_PROXY": "http://user:secret@proxy:3128"}
    monkeypatch.setattr(machine, "environment", lambda: environment)
    given = ("--ca", str(tmp_path / "ca.pem"), "--pip-config", str(tmp_path / "pip.conf"))
    assert machine.deploy("sam2-tracker", "--cpu", *given).status == 0
    for build in machine.calls("docker build "):
        assert f"--build-arg HTTPS_PROXY --secret id=ca,src={tmp_path}/ca.pem" in build
        assert f"--secret id=pip-config,src={tmp_path}/pip.conf" in build
        assert "secret@proxy" not in build


def test_a_model_of_the_admins_own(machine: Machine) -> None:
    folder = REPOSITORY / "toy" / "sam2"
    name = OwnModel(folder).name
    outcome = machine.deploy("sam2-tracker", "--cpu", "--model", str(folder))
    assert outcome.status == 0, outcome.err
    build = machine.calls("docker build ")[1]
    assert f"--build-arg MODELS={name} --build-context local-weights=" in build
    assert environment_of(machine.deployed()[0])["PROMPTABLE_MODEL"] == f"/opt/promptable/weights/{name}"
    machine.answer("docker image inspect .*promptable.models.*sam2-tracker", name)
    assert machine.deploy("sam2-tracker", "--model", str(folder), "--no-build").status == 0
    machine.answer("docker image inspect .*promptable.models.*sam2-tracker", "sam2-0123456789ab")
    refused = machine.deploy("sam2-tracker", "--model", str(folder), "--no-build")
    assert f"does not hold {name}, but: sam2-0123456789ab" in refused.err


def test_the_detectors_mask_model(machine: Machine) -> None:
    machine.deploy("grounding-dino", "--cpu", "--mask-model", str(REPOSITORY / "toy" / "sam"))
    assert f"MODELS=swin-t {OwnModel(REPOSITORY / 'toy' / 'sam').name} " in machine.calls("docker build ")[1]
    assert "--mask-model is for grounding-dino" in machine.deploy("sam2-tracker", "--mask-model", "vit_b").err


def test_a_port_is_taken_on_whatever_address(machine: Machine) -> None:
    with create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        outcome = machine.start("grounding-dino", "--cpu", "--port-base", str(port))
    assert outcome.status == 1
    assert f"port {port}, for grounding-dino, is taken by another program" in outcome.err


def test_nothing_outside_the_tests_own_folder_is_reached(machine: Machine) -> None:
    assert machine.environment()["PATH"] == str(machine.folder / "bin")
    machine.lacks("docker")
    assert "docker is not installed" in machine.deploy("sam2-tracker", "--cpu").err
