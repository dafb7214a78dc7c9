"""--no-build: other labels or settings with the image that is there."""

import json
from pathlib import Path
from typing import Any

from tests.deploy.machine import Machine, environment_of, image_of

LABELS = '- rust\n- name: "paint"\n  prompts: [fresh paint]\n'


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
    assert image_of(deployed) == "promptable-grounding-dino:cpu-0123456789ab"


def test_no_build_takes_the_device_of_the_image(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    assert machine.deploy("sam2-tracker", "--no-build").status == 0
    refused = machine.deploy("sam2-tracker", "--no-build", "--gpu")
    assert refused.status == 1
    assert "--gpu: promptable-sam2-tracker:cpu-0123456789ab was built for cpu" in refused.err
    assert machine.changes() == []


def test_no_build_on_another_users_image(machine: Machine) -> None:
    machine.deploy("sam2-tracker", "--cpu")
    machine.forget_state()
    outcome = machine.deploy("sam2-tracker", "--no-build", "--model", "sam2.1-tiny")
    assert outcome.status == 0, outcome.err
    (deployed,) = machine.deployed()
    assert image_of(deployed) == "promptable-sam2-tracker:cpu-0123456789ab"
    assert environment_of(deployed)["PROMPTABLE_DEVICE"] == "cpu"


def test_no_build_refuses_a_model_that_the_image_does_not_hold(machine: Machine) -> None:
    machine.deploy("sam-interactor", "--cpu")
    outcome = machine.deploy("sam-interactor", "--no-build", "--model", "vit_h")
    assert outcome.status == 1
    assert "does not hold vit_h, but: sam2.1-large sam2.1-tiny" in outcome.err
    assert machine.changes() == []
