"""deploy.sh on Docker, against recording stand-ins of docker and nuctl."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from socket import create_server
from typing import Any

import pytest

from promptable.deploy.errors import DeployError
from promptable.deploy.image.own_model import OwnModel
from promptable.deploy.nuclio import Nuclio
from promptable.deploy.rendering.reported import Reported
from promptable.models.catalogue import OFFICIAL
from tests.deploy.conftest import Answering
from tests.deploy.machine import REPOSITORY, Machine

LABELS = '- rust\n- name: "paint"\n  prompts: [fresh paint]\n'


def _image(function_yaml: Any) -> str:
    image: str = function_yaml["spec"]["image"]
    return image


def _environment(function_yaml: Any) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in function_yaml["spec"]["env"]}


def _dropped(machine: Machine) -> list[str]:
    """The images that the last run removed, but for the build's own temporary name."""
    calls = [call.removeprefix("docker rmi ") for call in machine.calls("docker rmi ")]
    return [image for image in calls if not image.endswith(":unchecked")]


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
    assert [_image(deployed) for deployed in machine.deployed()] == [
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
    assert _environment(deployed)["PROMPTABLE_DEVICE"] == "cpu"


def test_new_labels_need_no_build(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("grounding-dino", "--cpu")
    labels = tmp_path / "labels.yaml"
    labels.write_text(LABELS)
    machine.built("ffffffffffffffff")
    outcome = machine.deploy("grounding-dino", "--cpu", "--labels", str(labels), "--no-build")
    assert outcome.status == 0, outcome.err
    assert machine.changes() == machine.calls("nuctl deploy"), "nothing but one deployment"
    (deployed,) = machine.deployed()
    metadata: Any = deployed["metadata"]
    assert [label["name"] for label in json.loads(metadata["annotations"]["spec"])] == ["rust", "paint"]
    assert _image(deployed) == "promptable-grounding-dino:cpu-0123456789ab"


def test_wrong_labels_touch_nothing(machine: Machine, tmp_path: Path) -> None:
    labels = tmp_path / "labels.yaml"
    labels.write_text("- name: rust\n  kind: mask\n")
    outcome = machine.deploy("grounding-dino", "--cpu", "--labels", str(labels))
    assert outcome.status == 1
    assert "label 'rust': kind is unknown" in outcome.err
    assert machine.changes() == []


def test_the_same_command_again_changes_nothing(machine: Machine) -> None:
    machine.deploy("sam-interactor", "--cpu")
    outcome = machine.deploy("sam-interactor", "--cpu")
    assert outcome.status == 0, outcome.err
    assert machine.calls("nuctl deploy") == []
    assert "unchanged" in outcome.out


@pytest.mark.parametrize(
    ("tag", "url", "form"),
    [
        ("v2.70.0", None, "shapes"),
        ("v2.42.0", None, "mask"),
        ("dev", None, "shapes"),
        ("dev", "2.61.1", "mask"),
        ("v2.42.0", "2.62.0", "shapes"),
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


def test_a_container_that_crashes_is_given_up_at_once_and_the_one_before_comes_back(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", container="NEW restarting 2 unhealthy", seconds=240)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1, "and not a test that runs out of time: nuctl would have waited on"
    assert "the container's own log" in outcome.out
    assert [_image(deployed) for deployed in machine.deployed()] == [
        "promptable-sam2-tracker:cpu-bad0bad0bad0",
        "promptable-sam2-tracker:cpu-0123456789ab",
    ]
    assert "restored" in outcome.out


def test_a_wrong_answer_brings_the_one_before_back(machine: Machine, answering: tuple[Answering, ...]) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    answering[2].answer = {"shapes": [], "states": []}
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "expected one entry in 'shapes'" in outcome.err
    assert _image(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-0123456789ab"


def test_a_first_deployment_that_fails_leaves_nothing_that_restarts_for_ever(machine: Machine) -> None:
    machine.answer("nuctl deploy", status=1)
    assert machine.deploy("sam2-tracker", "--cpu").status == 1
    assert machine.calls("nuctl delete function sam2-tracker")


def test_one_that_fails_does_not_keep_the_others_from_coming_up(machine: Machine) -> None:
    machine.answer("nuctl deploy grounding-dino", status=1)
    outcome = machine.deploy("--cpu")
    assert outcome.status == 1
    assert "not deployed: grounding-dino" in outcome.err
    assert len(machine.calls("nuctl deploy")) == 3


def test_rollback_and_forward_again(machine: Machine) -> None:
    for image in ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"):
        machine.built(image)
        machine.deploy("sam2-tracker", "--cpu")
    for expected in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        outcome = machine.start("rollback", "sam2-tracker")
        assert outcome.status == 0, outcome.err
        assert str(machine.ports[2]) in outcome.out, "the port that it had, not function.yaml's"
        assert [_image(deployed) for deployed in machine.deployed()] == [f"promptable-sam2-tracker:cpu-{expected}"]


def test_a_lost_container_is_started_again_and_what_was_before_stays_known(machine: Machine, tmp_path: Path) -> None:
    for image in ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"):
        machine.built(image)
        machine.deploy("sam2-tracker", "--cpu")
    (tmp_path / "container.sam2-tracker").write_text("")
    assert machine.deploy("sam2-tracker", "--cpu").status == 0
    assert len(machine.calls("nuctl deploy")) == 1
    machine.start("rollback", "sam2-tracker")
    assert [_image(deployed) for deployed in machine.deployed()] == ["promptable-sam2-tracker:cpu-aaaaaaaaaaaa"]


def test_a_rollback_that_fails_leaves_the_present_one(machine: Machine) -> None:
    for image in ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"):
        machine.built(image)
        machine.deploy("sam2-tracker", "--cpu")
    machine.answer("nuctl deploy .*cpu-aaaaaaaaaaaa", status=1)
    outcome = machine.start("rollback", "sam2-tracker")
    assert outcome.status == 1
    assert "the one before runs again" in outcome.err
    assert _image(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-bbbbbbbbbbbb"


def test_rollback_of_a_first_deployment_says_so(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    outcome = machine.start("rollback", "sam2-tracker")
    assert outcome.status == 1
    assert "nothing was deployed before" in outcome.err
    assert machine.changes() == []


def test_only_two_images_of_a_function_stay(machine: Machine) -> None:
    for digit in "abc":
        machine.built(digit * 16)
        machine.deploy("sam2-tracker", "--cpu")
    assert _dropped(machine) == ["promptable-sam2-tracker:cpu-aaaaaaaaaaaa"]


def test_an_image_that_a_container_uses_stays(machine: Machine) -> None:
    machine.answer("docker ps --all", "promptable-sam2-tracker:cpu-aaaaaaaaaaaa")
    for digit in "abc":
        machine.built(digit * 16)
        machine.deploy("sam2-tracker", "--cpu")
    assert _dropped(machine) == []


def test_an_image_that_somebody_removed_already_is_no_news(machine: Machine) -> None:
    machine.answer("docker image inspect promptable-sam2-tracker:cpu-aaaaaaaaaaaa", status=1)
    for digit in "abc":
        machine.built(digit * 16)
        outcome = machine.deploy("sam2-tracker", "--cpu")
    assert _dropped(machine) == []
    assert "warning" not in outcome.err


def test_a_function_stuck_in_building_is_cleared(machine: Machine) -> None:
    machine.answer("nuctl deploy", state="building")
    machine.deploy("sam2-tracker", "--cpu")
    assert "sam2-tracker is stuck in an earlier deployment" in machine.deploy("sam2-tracker", "--cpu").out
    assert [call.split(" --")[0] for call in machine.changes()][-2:] == [
        "nuctl delete function sam2-tracker",
        "nuctl deploy sam2-tracker",
    ]


def test_a_function_that_nuclio_calls_unhealthy_is_deployed_again(machine: Machine, tmp_path: Path) -> None:
    """On Docker, where it has one replica, whatever its container says of itself."""
    machine.deploy("sam2-tracker", "--cpu")
    (stored,) = tmp_path.rglob("nuclio.sam2-tracker")
    stored.write_text(stored.read_text().replace("state: ready", "state: unhealthy"))
    assert "unchanged" not in machine.deploy("sam2-tracker", "--cpu").out
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


def test_logs_end_with_ctrl_c_and_speak_of_no_deployment(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.answer("docker logs", seconds=60)
    process = machine.script("logs", "sam2-tracker")
    while not machine.calls("docker logs"):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 130
    assert err == ""


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


def test_a_firewall_between_cvat_and_the_port_is_named(machine: Machine) -> None:
    seen = {"state": "ready", "port": machine.ports[2], "error": "timed out"}
    machine.answer("docker exec --interactive cvat_server", json.dumps({"functions": {"sam2-tracker": seen}}))
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 0
    assert f"cannot connect to host.docker.internal:{machine.ports[2]}" in outcome.err


def test_status_logs_and_remove(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    assert "running" in machine.start("status", "sam2-tracker").out
    assert "the container's own log" in machine.start("logs", "sam2-tracker").out
    assert machine.start("remove", "sam2-tracker").status == 0
    assert machine.changes() == ["nuctl delete function sam2-tracker --force --platform local --namespace nuclio"]


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


def test_what_somebody_else_deployed_is_brought_back(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    _forget_state(tmp_path)
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert machine.calls("nuctl delete") == []
    assert _image(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-0123456789ab"
    assert "build" not in str(machine.deployed()[-1])
    assert "the one before runs again" in outcome.err


def test_what_somebody_else_deployed_can_be_rolled_back_to(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    _forget_state(tmp_path)
    machine.built("bbbbbbbbbbbbbbbb")
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.start("rollback", "sam2-tracker").status == 0
    assert _image(machine.deployed()[-1]) == "promptable-sam2-tracker:cpu-0123456789ab"


def test_a_nuclio_that_does_not_answer_touches_nothing(machine: Machine) -> None:
    machine.answer("nuctl get function", err="Error - dial tcp: connection refused", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "Nuclio does not say whether sam2-tracker is deployed: Error - dial tcp: connection refused" in outcome.err
    assert machine.changes() == []


def test_a_version_before_that_does_not_come_up_either(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy", status=1)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "the one before does not come up either" in outcome.err
    row = outcome.out.splitlines()[-1].split()
    assert row[0] == "sam2-tracker"
    assert row[5] == "down"
    assert "restored" not in outcome.out


def test_a_state_that_cannot_be_written_is_said(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bbbbbbbbbbbbbbbb")
    (tmp_path / "state" / "promptable" / "local-nuclio" / "sam2-tracker.current.new").mkdir()
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "rollback would not know it" in outcome.err
    assert len(machine.calls("nuctl deploy")) == 1, "it runs, and stays"


def test_the_one_before_comes_back_though_the_log_cannot_be_kept(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1)
    (tmp_path / "state" / "promptable" / "local-nuclio" / "sam2-tracker.failed.new").mkdir()
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "sam2-tracker's log, not kept, since" in outcome.out
    assert "| the container's own log" in outcome.out
    assert "the one before runs again" in outcome.err


def test_the_one_before_comes_back_though_nuclio_says_nothing_of_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1)
    asked = [Nuclio.get]

    def once(nuclio: Nuclio, function: str) -> Reported | None:
        if not asked:
            raise DeployError("connection refused")
        return asked.pop()(nuclio, function)

    monkeypatch.setattr(Nuclio, "get", once)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert not asked
    assert "the one before runs again" in outcome.err


def test_a_folder_that_cannot_be_written_is_a_sentence(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "state" / "promptable").write_text("in the way")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert f"{tmp_path}/state/promptable" in outcome.err
    assert "Not a directory" in outcome.err or "File exists" in outcome.err
    assert "Traceback" not in outcome.err


def test_what_is_remembered_is_for_this_users_eyes(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    assert (tmp_path / "state" / "promptable" / "local-nuclio").stat().st_mode & 0o777 == 0o700


def test_rollback_without_names_takes_those_with_a_version_before(machine: Machine) -> None:
    machine.deploy("--cpu")
    machine.built("bbbbbbbbbbbbbbbb")
    machine.deploy("sam2-tracker", "--cpu")
    machine.deploy("sam-interactor", "--cpu")
    machine.answer("nuctl deploy sam-interactor .*cpu-0123456789ab", status=1)
    outcome = machine.start("rollback")
    assert outcome.status == 1
    assert [call.split()[2] for call in machine.calls("nuctl deploy")] == ["sam-interactor"] * 2 + ["sam2-tracker"]
    assert outcome.out.splitlines()[-2].split()[5] == "restored"
    assert "the one before runs again" in outcome.err


def test_rollback_without_names_and_without_a_version_before(machine: Machine) -> None:
    machine.deploy("--cpu")
    outcome = machine.start("rollback")
    assert outcome.status == 1
    assert "no function has a previous version" in outcome.err
    assert machine.changes() == []


def test_logs_of_all_functions_name_theirs(machine: Machine) -> None:
    machine.deploy("--cpu")
    out = machine.start("logs").out
    for name in ("grounding-dino", "sam-interactor", "sam2-tracker"):
        assert f"{name} | the container's own log" in out


@pytest.mark.parametrize("action", ["status", "logs", "remove", "rollback"])
def test_without_docker_no_action_answers_none(machine: Machine, action: str) -> None:
    machine.answer("docker", err="Cannot connect to the Docker daemon", status=1)
    outcome = machine.start(action)
    assert outcome.status == 1
    assert "Docker is not reachable: Cannot connect" in outcome.err
    assert machine.changes() == []


@pytest.mark.parametrize("action", ["remove", "rollback"])
def test_without_nuctl_its_download_is_named(machine: Machine, action: str) -> None:
    machine.lacks("nuctl")
    outcome = machine.start(action)
    assert outcome.status == 1
    assert "nuctl is not installed" in outcome.err


def test_what_the_shell_completes_names_the_function(machine: Machine) -> None:
    outcome = machine.deploy("functions/sam2-tracker/", "--cpu")
    assert outcome.status == 0, outcome.err
    assert [call.split()[2] for call in machine.calls("nuctl deploy")] == ["sam2-tracker"]


def test_no_build_takes_the_device_of_the_image(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.deploy("sam2-tracker", "--no-build").status == 0
    refused = machine.deploy("sam2-tracker", "--no-build", "--gpu")
    assert refused.status == 1
    assert "--gpu: promptable-sam2-tracker:cpu-0123456789ab was built for cpu" in refused.err
    assert machine.changes() == []


def test_no_build_on_another_users_image(machine: Machine, tmp_path: Path) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    _forget_state(tmp_path)
    outcome = machine.deploy("sam2-tracker", "--no-build", "--model", "sam2.1-tiny")
    assert outcome.status == 0, outcome.err
    (deployed,) = machine.deployed()
    assert _image(deployed) == "promptable-sam2-tracker:cpu-0123456789ab"
    assert _environment(deployed)["PROMPTABLE_DEVICE"] == "cpu"


def test_no_build_refuses_a_model_that_the_image_does_not_hold(machine: Machine) -> None:
    machine.deploy("sam-interactor", "--cpu")
    outcome = machine.deploy("sam-interactor", "--no-build", "--model", "vit_h")
    assert outcome.status == 1
    assert "does not hold vit_h, but: sam2.1-large sam2.1-tiny" in outcome.err
    assert machine.changes() == []


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


def _forget_state(folder: Path) -> None:
    """As if another user, or another machine, had deployed."""
    for file in (folder / "state" / "promptable" / "local-nuclio").iterdir():
        file.unlink()


def test_a_function_of_which_nuclio_tells_cvat_another_port_is_deployed_anew(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    stored = machine.folder / "nuclio.sam2-tracker"
    stored.write_text(stored.read_text().replace(f"httpPort: {machine.ports[2]}", "httpPort: 0"))
    assert "running" in machine.start("status", "sam2-tracker").out
    assert machine.deploy("sam2-tracker", "--cpu").status == 0
    assert len(machine.calls("nuctl deploy")) == 1


def test_status_shows_what_nuclio_tells_cvat(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    row = machine.start("status", "sam2-tracker").out.splitlines()[-1].split()
    assert row[0] == "sam2-tracker"
    assert row[-2:] == ["ready", str(machine.ports[2])]
    machine.answer("nuctl deploy", state="building")
    machine.built("bbbbbbbbbbbbbbbb")
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.start("status", "sam2-tracker").out.splitlines()[-1].split()[-2:] == ["building", "-"]


def test_the_image_of_a_version_that_fails_goes_once_its_container_has_gone(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1)
    machine.deploy("sam2-tracker", "--cpu")
    assert _dropped(machine) == ["promptable-sam2-tracker:cpu-bad0bad0bad0"]
    order = [
        call for call in machine.calls() if call.startswith(("nuctl deploy", "docker rmi promptable-sam2-tracker:cpu"))
    ]
    assert order[-1].startswith("docker rmi"), "while its container is there Docker keeps it"


def test_a_wrong_answer_prints_and_keeps_the_log(machine: Machine, answering: tuple[Answering, ...]) -> None:
    answering[2].answer = {"shapes": [], "states": []}
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert "| the container's own log" in outcome.out
    kept = machine.folder / "state" / "promptable" / "local-nuclio" / "sam2-tracker.failed.log"
    assert kept.read_text() == "the container's own log"
    assert str(kept) in outcome.err


def test_a_log_is_kept_without_a_terminals_colours(machine: Machine) -> None:
    machine.answer("nuctl deploy", status=1)
    machine.answer("docker logs", "\x1b[34m(I)\x1b[0m started")
    machine.deploy("sam2-tracker", "--cpu")
    kept = machine.folder / "state" / "promptable" / "local-nuclio" / "sam2-tracker.failed.log"
    assert kept.read_text() == "(I) started"


def test_no_log_is_promised_of_a_container_that_was_never_started(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    refused = "docker: Error response from daemon: no known GPU vendor found"
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", err=refused, status=1, container="NEW created 0 ")
    machine.answer("docker logs", "")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert f"sam2-tracker does not work: {refused}" in outcome.out
    assert "sam2-tracker has no log: nothing of this version was started, or it wrote none" in outcome.out
    assert "remedy:  it has no log; what was said above shows what happened" in outcome.err
    assert "failed.log" not in outcome.err


def test_the_log_of_the_version_before_is_not_taken_for_that_of_the_failed_one(machine: Machine) -> None:
    machine.answer("nuctl deploy", container="before running 0 healthy")
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1, container="before running 0 healthy")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "the container's own log" not in outcome.out
    assert "it has no log" in outcome.err


def test_a_log_that_cannot_be_kept_is_only_above(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1)
    (machine.folder / "state" / "promptable" / "local-nuclio" / "sam2-tracker.failed.log").mkdir()
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "| the container's own log" in outcome.out
    assert "remedy:  its log is above\n" in outcome.err


def test_a_version_that_runs_and_cannot_be_remembered_says_what_to_do(machine: Machine) -> None:
    folder = machine.folder / "state" / "promptable" / "local-nuclio"
    (folder / "sam2-tracker.current.new").mkdir(parents=True)
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 1
    assert f"sam2-tracker runs, but rollback would not know it: {folder} cannot be written" in outcome.err
    assert "not deployed" not in outcome.err
    assert f"let this user write to {folder}" in outcome.err


def test_the_log_of_a_removed_container(machine: Machine) -> None:
    outcome = machine.start("logs", "sam2-tracker")
    assert outcome.status == 1
    assert "sam2-tracker has no container, and so no log" in outcome.err


def test_a_rollback_asks_cvat_too(machine: Machine) -> None:
    for image in ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"):
        machine.built(image)
        machine.deploy("sam2-tracker", "--cpu")
    outcome = machine.start("rollback", "sam2-tracker")
    assert machine.calls("docker exec --interactive cvat_server python3 - nuclio")
    assert "warning" not in outcome.err


def test_a_dashboard_that_does_not_answer_cvat_is_warned_of(machine: Machine) -> None:
    machine.answer("docker exec --interactive cvat_server", '{"error": "http://nuclio:8070/api/functions: refused"}')
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert outcome.status == 0
    assert "Nuclio's dashboard does not answer CVAT, which shows no model: http://nuclio:8070" in outcome.err


def test_a_redis_that_does_not_answer_is_found_before_anything_is_deployed(machine: Machine, tmp_path: Path) -> None:
    machine.answer("docker run .*--network", "invalid username-password pair", status=1)
    outcome = machine.deploy("--cpu", "--redis", "redis:6379")
    assert outcome.status == 1
    assert "Redis at redis:6379 does not answer on CVAT's network: invalid username-password pair" in outcome.err
    assert machine.calls("nuctl deploy") == []


def test_a_redis_that_answers_is_in_the_table(machine: Machine) -> None:
    table = machine.deploy("--cpu", "--redis", "redis:6379").out.splitlines()[-3:]
    assert [line.split()[4] for line in table] == ["-", "ok", "ok"]
    (asked, _) = machine.calls("docker run --rm --interactive")
    assert "--network cvat_cvat --env CVAT_FUNCTIONS_REDIS_HOST=redis --env CVAT_FUNCTIONS_REDIS_PORT=6379" in asked


def test_the_table_after_a_rollback_has_the_redis_of_what_runs(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu", "--redis", "redis:6379")
    machine.deploy("sam2-tracker", "--cpu")
    for expected in ("redis", "-"):
        assert machine.start("rollback", "sam2-tracker").out.splitlines()[-1].split()[4] == expected


def test_the_table_after_a_failed_deployment_has_the_redis_of_what_runs(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu", "--redis", "before:6379")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1)
    row = machine.deploy("sam2-tracker", "--cpu", "--redis", "asked:6379").out.splitlines()[-1]
    assert row.split()[4:6] == ["before", "restored"]


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
    assert _environment(machine.deployed()[0])["PROMPTABLE_MODEL"] == f"/opt/promptable/weights/{name}"
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


def test_bringing_back_is_not_called_stuck(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.built("bad0bad0bad0bad0")
    machine.answer("nuctl deploy .*cpu-bad0bad0bad0", status=1, state="building")
    outcome = machine.deploy("sam2-tracker", "--cpu")
    assert "stuck in an earlier deployment" not in outcome.out
    assert [call.split()[1] for call in machine.calls("nuctl d")] == ["deploy", "delete", "deploy"]
    assert "the one before runs again" in outcome.err


def test_nothing_outside_the_tests_own_folder_is_reached(machine: Machine) -> None:
    assert machine.environment()["PATH"] == str(machine.folder / "bin")
    machine.lacks("docker")
    assert "docker is not installed" in machine.deploy("sam2-tracker", "--cpu").err
