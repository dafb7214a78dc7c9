"""Labels: from the deployed metadata, and from the labels.yaml that people write."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptable.config import labels
from promptable.config.function_yaml import dump, load
from promptable.config.labels import Label, LabelError, LabelType, Mark

ROOT = Path(__file__).parents[2]
BOMB = "- &a [x]\n" + "".join(
    f"- &{'abcdefghij'[i]} [{', '.join(9 * ['*' + 'abcdefghij'[i - 1]])}]\n" for i in range(1, 10)
)
"""Some 400 bytes that stand for 400 million values."""


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
        ({"name": "car", "type": "cuboid"}, "rectangle, mask, polygon, tag"),
        ({"name": "car", "prompts": []}, "prompts"),
        ({"name": "car", "prompts": "car"}, "prompts"),
        ({"name": "car", "prompts": ["car", " "]}, "prompts"),
        ({"name": "car", "threshold": 1.5}, "threshold"),
        ({"name": "car", "threshold": "0.5"}, "threshold"),
        ({"name": "car", "threshold": True}, "threshold"),
        ({"name": "car", "a\n12:00:00 error\x1b[2J": 1}, r"label 'car': 'a\\n12:00:00 error\\x1b\[2J' is unknown"),
        ({"name": "car", "promts": ["car"]}, "label 'car': promts is unknown, expected one of id, name, type"),
        ({"name": "car", "attributes": ["a"]}, "attribute"),
        ({"name": "car", "attributes": [{"input_type": "text", "values": []}]}, r"attributes\[0\].name is missing"),
        ({"name": "car", "attributes": [_attribute("text"), _attribute("text")]}, "come twice: a"),
        ({"name": "car", "attributes": [_attribute("slider")]}, "input_type must be one of checkbox, .*, got 'slider'"),
        ({"name": "car", "attributes": [{"name": "a", "input_type": "text"}]}, r"attributes\[0\].values is missing"),
        (
            {"name": "car", "attributes": [_attribute("number", 0, 100, 1)]},
            r"attributes\[0\].values must be a list of texts",
        ),
        ({"name": "car", "attributes": [_attribute("number", "0", "100")]}, "do not fit its input_type number"),
        ({"name": "car", "attributes": [_attribute("number", "0", "1", "0.1")]}, "do not fit its input_type number"),
        ({"name": "car", "attributes": [_attribute("number", "9", "0", "1")]}, "do not fit its input_type number"),
        ({"name": "car", "attributes": [_attribute("checkbox", "yes")]}, "do not fit its input_type checkbox"),
        ({"name": "car", "attributes": [_attribute("select")]}, "do not fit its input_type select"),
        ({"name": "car", "attributes": [_attribute("number", "0", "\N{ARABIC-INDIC DIGIT ONE}", "1")]}, "do not fit"),
        (
            {"name": "car", "attributes": [_attribute("text") | {"step": float("nan")}]},
            "label 'car': .nan and .inf are",
        ),
        ({"name": "car", "prompts": ["\ud800"]}, "label 'car': a text has half of a character"),
        ({"car": "red"}, "a label needs a name, got {'car': 'red'}: a name with a colon in it needs quotes"),
        (750, "must be a name or a mapping, got 750: a name that YAML reads so needs quotes"),
        ({"name": "look", "marks": "doubt"}, "review, failure, got 'doubt'"),
        ({"name": "look", "marks": "review", "type": "mask"}, "must be of type tag"),
        ({"name": "look", "marks": "review", "prompts": ["look"]}, "has no prompts"),
        ({"name": "look", "marks": "review", "threshold": 0.5}, "has no threshold"),
        ({"name": "car", "attributes": {}}, "label 'car': attributes must be a list, got {}"),
        ({"name": "."}, r"label '\.': prompt '\.' is empty"),
        ({"name": "car", "prompts": ["car", "_"]}, "label 'car': prompt '_' is empty"),
        (
            {"name": "car", "attributes": [{"name": "review", "input_type": "text", "values": []}]},
            "label 'car': attribute 'review' is the detector's own",
        ),
    ],
)
def test_a_wrong_label_is_refused_with_what_is_wrong(entry: Any, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        _load(entry)


def test_a_name_that_comes_twice_is_refused_since_cvat_would_refuse_the_function() -> None:
    with pytest.raises(LabelError, match="car"):
        _load({"name": "car"}, {"name": "bus"}, {"name": "car"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "Car"}, {"name": "car"}),
        ({"name": "traffic light"}, {"name": "signal", "prompts": ["signal", "Traffic_Light"]}),
        ({"name": "light", "prompts": ["traffic  light."]}, {"name": "traffic light"}),
    ],
)
def test_a_prompt_of_two_labels_is_refused_since_only_one_would_be_answered(first: Any, second: Any) -> None:
    names = f"labels '{first['name']}' and '{second['name']}' have prompts that are the same to the model"
    with pytest.raises(LabelError, match=names):
        _load(first, second)


def test_prompts_of_a_label_that_are_the_same_fall_together() -> None:
    (label,) = _load({"name": "car", "prompts": ["Car", "auto", "car ", "CAR", "auto"]})
    assert label.prompts == ("Car", "auto")


@pytest.mark.parametrize("entries", [[], [{"name": "needs-review", "marks": "review"}]])
def test_nothing_to_look_for_is_refused(entries: list[Any]) -> None:
    with pytest.raises(LabelError, match="at least one label that the model looks for"):
        _load(*entries)


def test_each_mark_has_one_label() -> None:
    with pytest.raises(LabelError, match="only one label may mark review"):
        _load({"name": "look", "marks": "review"}, {"name": "look again", "marks": "review"})


@pytest.mark.parametrize(
    "attribute",
    [_attribute("number", "-5", "5", "2"), _attribute("checkbox"), _attribute("radio", "x"), *labels.ATTRIBUTES],
)
def test_attributes_that_cvat_takes_are_taken(attribute: Any) -> None:
    assert [label.name for label in _load({"name": "car", "attributes": [attribute]})] == ["car"]


def test_attributes_without_a_value_are_none() -> None:
    assert [label.name for label in _load({"name": "car", "attributes": None})] == ["car"]


@pytest.mark.parametrize("spec", ["", "{", "{}", "7"])
def test_a_spec_that_is_no_json_list_is_refused(spec: Any) -> None:
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


def test_rendering_keeps_the_attributes_of_a_label_and_adds_ours(tmp_path: Path) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text(
        "- name: car\n"
        "  attributes:\n"
        "  - {name: colour, input_type: select, values: [red, blue], mutable: true, since: 2020-01-01}\n"
        "  - {name: review, input_type: checkbox, values: ['false']}\n"
        "- {name: failed, marks: failure, attributes: [{name: note, input_type: text, values: []}]}\n"
    )
    car, failed = json.loads(labels.render(file))
    assert [attribute["name"] for attribute in car["attributes"]] == ["colour", "review", "confidence"]
    colour = {
        "name": "colour",
        "input_type": "select",
        "values": ["red", "blue"],
        "mutable": True,
        "since": "2020-01-01",
    }
    assert car["attributes"][0] == colour
    assert failed["attributes"] == [{"name": "note", "input_type": "text", "values": []}]


@pytest.mark.parametrize("read", [labels.render, labels.deployed])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("- [", "YAML: while parsing"),
        ("- caf\N{LATIN SMALL LETTER E WITH ACUTE}".encode("latin-1"), "not UTF-8"),
        ("- {name: car, threshold: 0.3, threshold: 0.4}", "the key 'threshold' comes twice"),
        (BOMB, "over 100000 values, with aliases written out"),
        ("- &a [*a]", "over 100000 values"),
        ("[" * 1000, "nested too deep"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, read: Callable[[Path], object], content: str | bytes | None, said: str
) -> None:
    file = tmp_path / "file.yaml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LabelError) as caught:
        read(file)
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)


def test_the_labels_of_a_deployed_function_are_found(tmp_path: Path) -> None:
    config = tmp_path / "processor.yaml"
    function = load(ROOT / "functions" / "grounding-dino" / "function.yaml")
    config.write_text(dump(function.with_annotations(spec='[{"name": "car"}]')))
    assert [label.name for label in labels.deployed(config)] == ["car"]
    config.write_text(dump(function.with_annotations(spec="car")))
    with pytest.raises(LabelError, match=r"processor\.yaml: the annotation spec is not JSON"):
        labels.deployed(config)
    config.write_text("metadata: {}\n")
    with pytest.raises(LabelError, match=r"processor\.yaml: metadata\.name is missing"):
        labels.deployed(config)


def test_the_shipped_function_has_good_labels() -> None:
    shipped = labels.deployed(ROOT / "functions" / "grounding-dino" / "function.yaml")
    assert "person" in [label.name for label in shipped]


@pytest.mark.parametrize(("text", "name"), [("- car: red", "car"), ("- 12:30", "750")])
def test_what_yaml_reads_otherwise_needs_quotes(tmp_path: Path, text: str, name: str) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text(text)
    with pytest.raises(LabelError, match=f"labels.yaml: a label .*{name}.* needs quotes"):
        labels.render(file)


def test_the_file_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    file = tmp_path / "labels.yaml"
    file.write_bytes("- {name: Fußgänger, prompts: [pedestrian]}".encode())
    code = f"from promptable.config.labels import render; from pathlib import Path; print(render(Path({str(file)!r})))"
    latin = dict(os.environ, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    out = subprocess.run([sys.executable, "-c", code], env=latin, capture_output=True, check=True).stdout  # noqa: S603
    assert json.loads(out)[0]["name"] == "Fußgänger"


def test_prompts_that_the_model_reads_alike_are_refused_by_both_names() -> None:
    two = _load({"name": "café"}, {"name": "drink", "prompts": ["tea", "cafe"]})
    with pytest.raises(
        LabelError, match="labels 'café' and 'drink' have prompts that are the same to the model: 'café'"
    ):
        labels.check_spelling(two, lambda prompt: prompt.replace("é", "e"))


def test_prompts_of_one_label_may_be_the_same_to_the_model() -> None:
    labels.check_spelling(_load({"name": "café", "prompts": ["café", "cafe"]}, {"name": "tea"}), len)


def test_a_prompt_that_the_model_cannot_read_names_its_label() -> None:
    def spell(prompt: str) -> str:
        raise ValueError(f"prompt {prompt!r} is letters")

    with pytest.raises(LabelError, match="label 'кот': prompt 'кот' is letters"):
        labels.check_spelling(_load({"name": "кот"}), spell)
