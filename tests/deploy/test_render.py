"""The function.yaml that is deployed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from promptable.deploy.rendering.render import render
from promptable.deploy.rendering.target import Device, PlatformName, Scheduling, Target

REPOSITORY = Path(__file__).parents[2]
FUNCTIONS = sorted((REPOSITORY / "functions").glob("*/function.yaml"))
TARGET = Target(platform=PlatformName.LOCAL, namespace="nuclio", image="an-image:tag", device=Device.GPU)


def _rendered(function_yaml: Path, **changes: Any) -> Any:
    return yaml.safe_load(render(function_yaml, Target(**{**vars(TARGET), **changes})).text)


@pytest.mark.parametrize("function_yaml", FUNCTIONS, ids=lambda path: path.parent.name)
def test_what_the_target_does_not_name_stays(function_yaml: Path) -> None:
    """The labels' JSON too, to the byte: CVAT and the handler read it."""
    own = yaml.safe_load(function_yaml.read_text())
    for entry in own["spec"]["env"]:
        if entry == {"name": "PROMPTABLE_MODEL", "value": "auto"}:
            entry["value"] = "sam2.1-large"
    rendered = _rendered(function_yaml)
    own["metadata"]["namespace"] = "nuclio"
    own["spec"] |= {"image": "an-image:tag", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    own["spec"]["env"].append({"name": "PROMPTABLE_DEVICE", "value": "cuda"})
    for document in (own, rendered):
        document["spec"]["env"].sort(key=lambda entry: entry["name"])
    assert rendered == own


@pytest.mark.parametrize("function_yaml", FUNCTIONS, ids=lambda path: path.parent.name)
def test_a_value_is_never_given_twice(function_yaml: Path) -> None:
    rendered = _rendered(function_yaml, model="", answer_form="mask", device=Device.CPU)
    names = [entry["name"] for entry in rendered["spec"]["env"]]
    assert sorted(names) == sorted(set(names))
    assert "resources" not in rendered["spec"] or "nvidia.com/gpu" not in str(rendered["spec"]["resources"])


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({}, "sam2.1-large"),
        ({"device": Device.CPU}, "sam2.1-tiny"),
        ({"device": Device.CPU, "model": "vit_b"}, "vit_b"),
    ],
)
def test_the_interactors_model_suits_the_device_unless_one_is_named(changes: dict[str, Any], model: str) -> None:
    rendered = _rendered(REPOSITORY / "functions/sam-interactor/function.yaml", **changes)
    assert {"name": "PROMPTABLE_MODEL", "value": model} in rendered["spec"]["env"]


@pytest.mark.parametrize("model", ["llmdet-large", "mm-grounding-dino-tiny"])
def test_the_detector_runs_every_official_detector_with_its_own_threshold(model: str) -> None:
    rendered = _rendered(REPOSITORY / "functions/grounding-dino/function.yaml", model=model)
    environment = {entry["name"]: entry["value"] for entry in rendered["spec"]["env"]}
    assert (environment["PROMPTABLE_MODEL"], environment["PROMPTABLE_THRESHOLD"]) == (model, "auto")


def test_build_keys_go(tmp_path: Path) -> None:
    document = yaml.safe_load(FUNCTIONS[0].read_text())
    document["spec"]["build"] = {"image": "x", "path": "."}
    path = tmp_path / "function.yaml"
    path.write_text(yaml.safe_dump(document))
    assert "build" not in _rendered(path)["spec"]


def test_what_a_function_yaml_says_of_requests_and_of_the_autoscaler_is_kept(tmp_path: Path) -> None:
    document = yaml.safe_load(FUNCTIONS[0].read_text())
    document["spec"] |= {"resources": {"requests": {"cpu": "4"}}, "targetCPU": 60}
    path = tmp_path / "function.yaml"
    path.write_text(yaml.safe_dump(document))
    spec = _rendered(path, platform=PlatformName.KUBE)["spec"]
    assert spec["resources"]["requests"] == {"cpu": "4", "memory": "6Gi"}
    assert spec["targetCPU"] == 60


def test_replicas_are_kept_from_the_tracker_only() -> None:
    counts = {
        path.parent.name: _rendered(
            path, platform=PlatformName.KUBE, scheduling=Scheduling(min_replicas=2, max_replicas=5)
        )
        for path in FUNCTIONS
    }
    assert {name: document["spec"]["maxReplicas"] for name, document in counts.items()} == {
        "grounding-dino": 5,
        "sam-interactor": 5,
        "sam2-tracker": 1,
    }


def test_image_and_functions_agree_on_python() -> None:
    dockerfile = (REPOSITORY / "docker/Dockerfile").read_text()
    for path in FUNCTIONS:
        runtime, _, version = yaml.safe_load(path.read_text())["spec"]["runtime"].partition(":")
        assert f"FROM {runtime}:{version}-slim" in dockerfile
        assert f"py{version}-whl" in dockerfile
