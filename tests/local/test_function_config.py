from pathlib import Path
from typing import Any

import pytest
import yaml

from promptable.config.function_yaml import FunctionConfigError, find, load

from .conftest import write_function


def test_all_fields(tmp_path: Path) -> None:
    trigger = {
        "numWorkers": 3,
        "workerAvailabilityTimeoutMilliseconds": 2500,
        "attributes": {"port": 32001, "maxRequestBodySize": 1000},
    }
    folder = write_function(
        tmp_path, "cats", trigger=trigger, eventTimeout="1m30s", env=[{"name": "PROMPTABLE_DEVICE", "value": "cpu"}]
    )
    config = load(folder)
    assert (config.name, config.handler, config.folder) == ("cats", "main:handler", folder)
    assert config.env == {"PROMPTABLE_DEVICE": "cpu"}
    assert config.event_timeout_seconds == 90
    assert (config.trigger.name, config.trigger.workers, config.trigger.wait_seconds) == ("web", 3, 2.5)
    assert (config.trigger.port, config.trigger.max_body_bytes) == (32001, 1000)
    assert config.annotations["type"] == "detector"


def test_defaults_are_those_of_nuclio(tmp_path: Path) -> None:
    config = load(write_function(tmp_path, "cats", triggers={}))
    assert (config.trigger.name, config.trigger.workers, config.trigger.wait_seconds) == ("default-http", 1, 10)
    assert (config.trigger.port, config.trigger.max_body_bytes) == (0, 4 * 1024 * 1024)
    assert config.event_timeout_seconds is None


def test_the_older_name_of_the_number_of_workers(tmp_path: Path) -> None:
    assert load(write_function(tmp_path, "cats", trigger={"maxWorkers": 2})).trigger.workers == 2


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metadata", "name"), None, "metadata.name must be a text"),
        (("metadata", "annotations", "version"), 2, "metadata.annotations.version must be a text, in quotes .* got 2"),
        (("metadata", "annotations", "spec"), [], r"metadata.annotations.spec must be a text.* got \[\]"),
        (("spec", "description"), "", "spec.description must be a text"),
        (("spec", "handler"), "main.py", "spec.handler must be module:function, got 'main.py'"),
        (("spec", "eventTimeout"), "soon", "spec.eventTimeout must be a duration"),
        (("spec", "eventTimeout"), 30, "spec.eventTimeout must be a text"),
        (("spec", "env"), [{"name": "A", "value": 1}], r"spec.env\[0\].value must be a text"),
        (("spec", "env"), ["A=1"], r"spec.env\[0\].value must be a text"),
        (("spec", "triggers", "web", "numWorkers"), "two", "triggers.web.numWorkers must be a whole number"),
        (("spec", "triggers", "web", "numWorkers"), True, "triggers.web.numWorkers must be a whole number"),
        (("spec", "triggers", "web", "attributes"), {"port": -1}, "attributes.port must be a whole number from 0 on"),
        (("spec", "triggers"), [], "spec.triggers must be a mapping"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, path: tuple[str, ...], value: Any, message: str) -> None:
    folder = write_function(tmp_path, "cats")
    document = yaml.safe_load((folder / "function.yaml").read_text())
    section = document
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    (folder / "function.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(FunctionConfigError, match=message) as raised:
        load(folder)
    assert str(folder / "function.yaml") in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is not YAML"), ("- a", "must be a mapping"), ("", "must be a")]
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "function.yaml").write_text(text)
    with pytest.raises(FunctionConfigError, match=message):
        load(tmp_path)


def test_without_names_every_function_is_found(tmp_path: Path) -> None:
    write_function(tmp_path, "dogs")
    write_function(tmp_path, "cats")
    (tmp_path / "notes").mkdir()
    assert [config.name for config in find(tmp_path, ())] == ["cats", "dogs"]
    assert [config.name for config in find(tmp_path, ("dogs",))] == ["dogs"]


def test_a_missing_function_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FunctionConfigError, match=r"holds no folder with a function.yaml"):
        find(tmp_path, ())
    with pytest.raises(FunctionConfigError, match=r"birds/function.yaml cannot be read: No such file"):
        find(tmp_path, ("birds",))


def test_two_functions_of_one_name_are_refused(tmp_path: Path) -> None:
    write_function(tmp_path / "a", "cats").rename(tmp_path / "cats")
    write_function(tmp_path / "b", "cats").rename(tmp_path / "more-cats")
    with pytest.raises(FunctionConfigError, match=r"two functions of .* have the name 'cats'"):
        find(tmp_path, ())


def test_other_labels_change_only_the_annotation(tmp_path: Path) -> None:
    config = load(write_function(tmp_path, "cats"))
    assert config.with_labels("[]").annotations == {"type": "detector", "spec": "[]"}
    assert config.annotations["spec"] == '[{"id": 0, "name": "cat"}]'
