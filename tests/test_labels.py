"""Labels: from the deployed metadata, and from the labels.yaml that people write."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptable import labels
from promptable.labels import Label, LabelError, LabelType, Mark

ROOT = Path(__file__).parents[1]


def _load(*entries: object) -> tuple[Label, ...]:
    return labels.load(json.dumps(entries))


def _attribute(kind: str, *values: object) -> dict[str, object]:
    return {"name": "a", "input_type": kind, "values": list(values)}


def test_a_plain_label_is_asked_for_by_its_name_and_answered_as_a_rectangle() -> None:
    assert _load({"name": "rusted bolt"}) == (Label("rusted bolt", LabelType.RECTANGLE, ("rusted bolt",), None),)


def test_our_extra_keys_are_read() -> None:
    entry = {"id": 3, "name": "car", "type": "mask", "prompts": ["car", "automobile"], "threshold": 0.5}
    assert _load(entry) == (Label("car", LabelType.MASK, ("car", "automobile"), 0.5),)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({}, "name"),
        ("car", "mapping"),
        ({"name": "car", "type": "cuboid"}, "rectangle, mask, polygon, tag"),
        ({"name": "car", "prompts": []}, "prompts"),
        ({"name": "car", "prompts": "car"}, "prompts"),
        ({"name": "car", "prompts": ["car", " "]}, "prompts"),
        ({"name": "car", "threshold": 1.5}, "threshold"),
        ({"name": "car", "threshold": "0.5"}, "threshold"),
        ({"name": "car", "threshold": True}, "threshold"),
        ({"name": "car", "promts": ["car"]}, "promts"),
        ({"name": "car", "attributes": ["a"]}, "attribute"),
        ({"name": "car", "attributes": [{"input_type": "text", "values": []}]}, "a name"),
        ({"name": "car", "attributes": [_attribute("text"), _attribute("text")]}, "come twice: a"),
        ({"name": "car", "attributes": [_attribute("slider")]}, "input_type of 'a' must be one of checkbox"),
        ({"name": "car", "attributes": [{"name": "a", "input_type": "text"}]}, "values of 'a' must be a list"),
        ({"name": "car", "attributes": [_attribute("number", 0, 100, 1)]}, "values of 'a' must be a list of texts"),
        ({"name": "car", "attributes": [_attribute("number", "0", "100")]}, "do not fit its input_type number"),
        ({"name": "car", "attributes": [_attribute("number", "0", "1", "0.1")]}, "do not fit its input_type number"),
        ({"name": "car", "attributes": [_attribute("number", "9", "0", "1")]}, "do not fit its input_type number"),
        ({"name": "car", "attributes": [_attribute("checkbox", "yes")]}, "do not fit its input_type checkbox"),
        ({"name": "car", "attributes": [_attribute("select")]}, "do not fit its input_type select"),
        ({"name": "look", "marks": "doubt"}, "review, failure, got 'doubt'"),
        ({"name": "look", "marks": "review", "type": "mask"}, "must be of type tag"),
        ({"name": "look", "marks": "review", "prompts": ["look"]}, "has no prompts"),
        ({"name": "look", "marks": "review", "threshold": 0.5}, "has no threshold"),
        ({"name": "car", "attributes": {}}, "list"),
    ],
)
def test_a_wrong_label_is_refused_with_what_is_wrong(entry: Any, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        _load(entry)


def test_a_name_that_comes_twice_is_refused_since_cvat_would_refuse_the_function() -> None:
    with pytest.raises(LabelError, match="car"):
        _load({"name": "car"}, {"name": "bus"}, {"name": "car"})


def test_each_mark_has_one_label() -> None:
    with pytest.raises(LabelError, match="only one label may mark review"):
        _load({"name": "look", "marks": "review"}, {"name": "look again", "marks": "review"})


@pytest.mark.parametrize(
    "attribute",
    [_attribute("number", "-5", "5", "2"), _attribute("checkbox"), _attribute("radio", "x"), *labels.ATTRIBUTES],
)
def test_attributes_that_cvat_takes_are_taken(attribute: Any) -> None:
    assert [label.name for label in _load({"name": "car", "attributes": [attribute]})] == ["car"]


@pytest.mark.parametrize("spec", ["", "{", "{}", "7"])
def test_a_spec_that_is_no_json_list_is_refused(spec: str) -> None:
    with pytest.raises(LabelError):
        labels.load(spec)


def test_rendering_and_loading_are_inverse(tmp_path: Path) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text(
        "- person\n"
        "- {name: car, type: polygon, prompts: [car, automobile], threshold: 0.4}\n"
        "- {name: night, type: tag}\n"
        "- {name: needs-review, marks: review}\n"
    )
    spec = labels.render(file)
    assert labels.load(spec) == (
        Label("person", LabelType.RECTANGLE, ("person",), None),
        Label("car", LabelType.POLYGON, ("car", "automobile"), 0.4),
        Label("night", LabelType.TAG, ("night",), None),
        Label("needs-review", LabelType.TAG, (), marks=Mark.REVIEW),
    )
    *asked, marking = json.loads(spec)
    assert all([attribute["name"] for attribute in label["attributes"]] == ["confidence", "review"] for label in asked)
    assert (marking["type"], "attributes" in marking) == ("tag", False)


def test_the_labels_of_a_deployed_function_are_found(tmp_path: Path) -> None:
    config = tmp_path / "processor.yaml"
    config.write_text(yaml.safe_dump({"metadata": {"annotations": {"spec": '[{"name": "car"}]'}}}))
    assert [label.name for label in labels.deployed(config)] == ["car"]
    config.write_text(yaml.safe_dump({"metadata": {}}))
    with pytest.raises(LabelError, match=r"metadata\.annotations\.spec"):
        labels.deployed(config)


def test_the_shipped_function_has_good_labels() -> None:
    shipped = labels.deployed(ROOT / "functions" / "grounding-dino" / "function.yaml")
    assert "person" in [label.name for label in shipped]
