"""A dry run prints everything that would happen, also where there is neither Docker nor CVAT, and changes nothing."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.machine import REPOSITORY, Machine

TOY = REPOSITORY / "toy"
NAMES = ["grounding-dino", "sam-interactor", "sam2-tracker"]
PLANS = {
    "GPU": ("--gpu",),
    "CPU": ("--cpu",),
    "kube": ("--platform", "kube", "--registry", "registry.example.com/cvat"),
}


def _rendered(out: str) -> list[Any]:
    """The function.yaml files in what was printed: the lines from ``metadata:`` up to the next indented message."""
    files: list[list[str]] = []
    inside = False
    for line in out.splitlines():
        if line == "metadata:":
            files.append([])
            inside = True
        inside = inside and not re.match(r"   \S|==", line)
        if inside:
            files[-1].append(line)
    return [yaml.safe_load("\n".join(file)) for file in files]


@pytest.mark.parametrize("bare", [False, True], ids=["CVAT runs", "nothing is installed"])
@pytest.mark.parametrize("plan", PLANS)
def test_plan_commands_and_files_are_printed(machine: Machine, tmp_path: Path, plan: str, bare: bool) -> None:
    if bare:
        machine.answer("(docker|kubectl|curl|nvidia-smi)", err="cannot connect", status=1)
        machine.lacks("nuctl")
    ports = () if plan == "kube" else ("--port-base", str(machine.ports.start))
    outcome = machine.start("--dry-run", *PLANS[plan], *ports)
    assert outcome.status == 0, outcome.err
    assert machine.changes() == []
    assert list((tmp_path / "state").iterdir()) == []
    rendered = _rendered(outcome.out)
    assert [document["metadata"]["name"] for document in rendered] == NAMES
    assert {"nvidia.com/gpu" in str(document["spec"].get("resources")) for document in rendered} == {plan != "CPU"}
    commands = [line.strip() for line in outcome.out.splitlines() if line.startswith("   + nuctl deploy")]
    assert len(commands) == len(NAMES)
    for command, document in zip(commands, rendered, strict=True):
        assert f"--run-image {document['spec']['image']} --platform {'kube' if plan == 'kube' else 'local'} " in command


def test_the_device_is_the_gpu_where_there_is_one(machine: Machine) -> None:
    assert "device:      gpu" in machine.start("--dry-run", "sam2-tracker").out
    machine.answer("nvidia-smi", status=9)
    assert "device:      cpu" in machine.start("--dry-run", "sam2-tracker").out


def test_the_plan_says_where_each_checkpoint_comes_from(machine: Machine) -> None:
    def weights(*options: str) -> str:
        out = machine.start("--dry-run", "--cpu", "grounding-dino", *options).out
        return next(line for line in out.splitlines() if line.startswith("   weights: "))

    model, masks = (("--model", str(TOY / "grounding-dino")), ("--mask-model", str(TOY / "sam")))
    assert weights().endswith("in the images, downloaded, SHA-256 checked")
    assert weights(*model).endswith(f"in the images, from {TOY / 'grounding-dino'}, downloaded, SHA-256 checked")
    assert weights(*model, *masks).endswith(f"in the images, from {TOY / 'grounding-dino'}, from {TOY / 'sam'}")


def test_rollback_and_remove_only_say_what_they_would_do(machine: Machine) -> None:
    machine.deploy_tracker("a", "b")
    out = machine.start("rollback", "--dry-run", "sam2-tracker").out
    assert "--run-image promptable-sam2-tracker:cpu-aaaaaaaaaaaa " in out
    assert machine.changes() == []
    assert "nuctl delete function sam2-tracker" in machine.start("remove", "--dry-run", "sam2-tracker").out
    assert machine.changes() == []


def test_the_plan_says_what_each_function_takes_beside_what_is_free(machine: Machine) -> None:
    out = machine.start("--dry-run", "--gpu").out
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith(tuple(NAMES))}
    assert rows["grounding-dino"].split(None, 3)[1:3] == ["swin-t", "vit_b"]
    assert "1.1 GB" in rows["grounding-dino"]
    assert rows["sam2-tracker"].split()[-2:] == rows["sam2-tracker"].split()[2:4], "a GPU holds the checkpoint at least"
    assert "base image:  some 9 GB for all functions" in out
    assert re.search(r"memory free: \d+ GB", out)
    own = machine.start("--dry-run", "--cpu", "sam2-tracker", "--model", str(TOY / "sam2")).out
    assert re.search(r"^sam2-tracker +sam2-[0-9a-f]{12} +0\.0\d+ GB +8 GB +-", own, re.MULTILINE)


def test_the_free_memory_of_the_gpus_is_named(machine: Machine) -> None:
    out = machine.deploy("sam2-tracker", "--gpu").out
    assert "GPU 0 free: 22 of 22 GB (NVIDIA L4)" in out


def test_a_model_that_is_none_is_a_problem_of_a_dry_run_too(machine: Machine) -> None:
    outcome = machine.start("--dry-run", "sam2-tracker", "--cpu", "--model", "/nowhere")
    assert outcome.status == 0
    assert "expected a model folder or one of" in outcome.err
    assert "== deployment" in outcome.out
