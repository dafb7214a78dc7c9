"""What CVAT needs of a function's metadata: one function without it breaks the whole model list."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

FUNCTIONS = Path(__file__).parents[2] / "functions"
NAMES = ("grounding-dino", "sam-interactor", "sam2-tracker")


def _config(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((FUNCTIONS / name / "function.yaml").read_text())
    return config


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_is_what_cvat_reads(name: str) -> None:
    config = _config(name)
    annotations = config["metadata"]["annotations"]
    assert config["metadata"]["name"] == name
    assert all(isinstance(value, str) for value in annotations.values())
    assert config["spec"]["description"]
    json.loads(annotations["spec"] or "[]")


def test_each_kind_says_what_it_is() -> None:
    detector, interactor, tracker = (_config(name)["metadata"]["annotations"] for name in NAMES)
    assert detector["type"] == "detector"
    assert (interactor["type"], interactor["version"], interactor["startswith_box_optional"]) == (
        "interactor",
        "2",
        "true",
    )
    assert "startswith_box" not in interactor, "CVAT takes any text here for true"
    assert (tracker["type"], tracker["supported_shape_types"]) == ("tracker", "rectangle,mask,polygon")


def test_every_detector_label_carries_the_confidence_attribute() -> None:
    for label in json.loads(_config("grounding-dino")["metadata"]["annotations"]["spec"]):
        (attribute,) = label["attributes"]
        assert attribute == {"name": "confidence", "input_type": "number", "values": ["0", "100", "1"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_port_is_fixed_and_bodies_may_be_large(name: str) -> None:
    attributes = _config(name)["spec"]["triggers"]["http"]["attributes"]
    assert attributes["maxRequestBodySize"] >= 200 * 2**20
    assert attributes["port"] in {_config(each)["spec"]["triggers"]["http"]["attributes"]["port"] for each in NAMES}


def test_no_two_functions_share_a_port() -> None:
    ports = [_config(name)["spec"]["triggers"]["http"]["attributes"]["port"] for name in NAMES]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("name", NAMES)
def test_the_entry_point_imports_no_torch_before_init_context(name: str) -> None:
    source = (FUNCTIONS / name / "main.py").read_text()
    before = source.split("def init_context")[0]
    assert "torch" not in before
    assert "from promptable.serving.respond import respond" in before
