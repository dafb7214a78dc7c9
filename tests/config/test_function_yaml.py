"""function.yaml and processor.yaml: read into frozen models, changed, and written again."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from promptable.config.function_yaml import (
    FunctionConfigError,
    dump,
    find,
    load,
    load_deployed,
    parse_deployed,
    to_document,
)
from promptable.config.nuclio import FunctionType
from tests.local.conftest import write_function

FUNCTIONS = sorted(Path(__file__).parents[2].glob("functions/*/function.yaml"))

PROCESSOR_YAML = """
PlatformConfig: null
metadata:
  annotations: {name: Cats, spec: '[]', type: detector, example.org/of-another: kept}
  labels: {nuclio.io/project-name: cvat}
  name: cats
  namespace: nuclio
spec:
  build: {baseImage: python:3.11-slim-bookworm}
  description: Finds cats
  disableDefaultHTTPTrigger: false
  eventTimeout: ""
  handler: main:handler
  image: cats:1
  platform: {attributes: {network: cvat_cvat, restartPolicy: {maximumRetryCount: 3, name: always}}}
  readinessTimeoutSeconds: 120
  resources: {requests: {cpu: 25m, memory: 1Mi}}
  runtime: python:3.11
  securityContext: {}
  targetCPU: 75
  ofALaterNuclio: [1]
  triggers:
    http: {attributes: {port: 32123, later: 1}, class: "", kind: http, name: http, numWorkers: 1}
"""
"""As Nuclio 1.14.1 wrote it into a container, with keys that a later one might add."""


def _load(folder: Path) -> Any:
    return load(folder / "function.yaml")


def test_all_fields(tmp_path: Path) -> None:
    trigger = {
        "numWorkers": 3,
        "workerAvailabilityTimeoutMilliseconds": 2500,
        "attributes": {"port": 32001, "maxRequestBodySize": 1000},
    }
    folder = write_function(
        tmp_path, "cats", trigger=trigger, eventTimeout="1m30s", env=[{"name": "PROMPTABLE_DEVICE", "value": "cpu"}]
    )
    config = _load(folder)
    assert (config.name, config.type, config.spec.handler) == ("cats", FunctionType.DETECTOR, "main:handler")
    assert config.env == {"PROMPTABLE_DEVICE": "cpu"}
    assert config.event_timeout_seconds == 90
    assert (config.trigger.name, config.trigger.workers, config.trigger.wait_seconds) == ("web", 3, 2.5)
    assert (config.trigger.port, config.trigger.max_body_bytes) == (32001, 1000)


def test_what_nuclio_1_17_added_may_be_written(tmp_path: Path) -> None:
    trigger = {"attributes": {"authenticationMode": "none", "authentication": {}}}
    config = _load(write_function(tmp_path, "cats", trigger=trigger, imagePullSecretsList=["one", "two"]))
    assert config.trigger.attributes.authentication_mode == "none"
    assert to_document(config)["spec"]["imagePullSecretsList"] == ["one", "two"]


def test_defaults_are_those_of_nuclio(tmp_path: Path) -> None:
    config = _load(write_function(tmp_path, "cats", triggers={}))
    assert (config.trigger.name, config.trigger.workers, config.trigger.wait_seconds) == ("default-http", 1, 10)
    assert (config.trigger.port, config.trigger.max_body_bytes) == (0, 4 * 1024 * 1024)
    assert config.event_timeout_seconds is None


def test_the_older_name_of_the_number_of_workers(tmp_path: Path) -> None:
    assert _load(write_function(tmp_path, "cats", trigger={"maxWorkers": 2})).trigger.workers == 2


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metadata", "name"), None, "metadata.name must be a text"),
        (("metadata", "annotations", "version"), 2, "metadata.annotations.version must be a text, in quotes .* got 2"),
        (("metadata", "annotations", "spec"), [], r"metadata.annotations.spec must be a text.* got \[\]"),
        (("metadata", "annotations", "min_pos_point"), "1", "metadata.annotations.min_pos_point is unknown"),
        (("metadata", "annotations", "type"), "detect", "type must be one of detector, .*, got 'detect'"),
        (("spec", "description"), "", "spec.description must be a text"),
        (("spec", "handler"), "main.py", "spec.handler must be module:function, got 'main.py'"),
        (("spec", "eventTimeout"), "soon", "spec.eventTimeout must be a duration"),
        (("spec", "eventTimeout"), 30, "spec.eventTimeout must be a duration such as .* as a text, got 30"),
        (("spec", "eventTimeOut"), "110s", "spec.eventTimeOut is unknown"),
        (("spec", "env"), [{"name": "A", "value": 1}], r"spec.env\[0\].value must be a text"),
        (("spec", "env"), ["A=1"], r"spec.env\[0\] must be a mapping, got 'A=1'"),
        (("spec", "env"), {"A": "1"}, r"spec.env must be a list"),
        (("spec", "triggers", "web", "kind"), "cron", "triggers.web.kind must be http"),
        (("spec", "triggers", "web", "workers"), 1, "spec.triggers.web.workers is unknown"),
        (("spec", "triggers", "web", "numWorkers"), "two", "triggers.web.numWorkers must be a whole number"),
        (("spec", "triggers", "web", "numWorkers"), True, "triggers.web.numWorkers must be a whole number"),
        (("spec", "triggers", "web", "attributes"), {"port": -1}, "attributes.port must be a whole number from 0 on"),
        (("spec", "triggers", "web", "attributes"), {"port": "32101"}, "attributes.port must be a whole number"),
        (("spec", "triggers"), [], "spec.triggers must be a mapping"),
        (("spec", "resources"), {"limits": {"nvidia.com/gpu": 0.5}}, "limits.nvidia.com/gpu must be a whole number or"),
        (("spec", "securityContext"), {"runAsNonRoot": 1}, "securityContext.runAsNonRoot must be true or false"),
        (("spec", "platform"), [], "spec.platform must be a mapping"),
        (("spec", "env"), [{"name": "PROMPTABLE_THRESHHOLD", "value": "1"}], "spec.env: PROMPTABLE_THRESHHOLD is no"),
        (
            ("spec", "env"),
            [{"name": "PROMPTABLE_THRESHOLD", "value": "2"}],
            "THRESHOLD: expected auto or a number from 0 to 1",
        ),
        (
            ("spec", "env"),
            [{"name": "CVAT_FUNCTIONS_REDIS_PASSWORD", "value": "x"}],
            "REDIS_PASSWORD: its value .*REDIS_PASSWORD_FILE, or",
        ),
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
        _load(folder)
    assert str(folder / "function.yaml") in str(raised.value)


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    folder = write_function(tmp_path, "cats", handler="main.py", evenTimeout="1s")
    with pytest.raises(FunctionConfigError, match=r"handler must be module:function.*; spec\.evenTimeout is unknown"):
        _load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("- a", "must be a mapping"),
        ("", "must be a"),
        ("spec: 1\nspec: 2", "the key 'spec' comes twice"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "function.yaml").write_text(text)
    with pytest.raises(FunctionConfigError, match=message):
        _load(tmp_path)


def test_a_password_that_kubernetes_looks_up_may_stand(tmp_path: Path) -> None:
    reference = {"secretKeyRef": {"name": "redis", "key": "password"}}
    env = [{"name": "CVAT_FUNCTIONS_REDIS_PASSWORD", "valueFrom": reference}, {"name": "A", "value": ""}]
    config = _load(write_function(tmp_path, "cats", env=env))
    assert config.env == {"A": ""}
    assert to_document(config)["spec"]["env"] == env


@pytest.mark.parametrize("path", FUNCTIONS, ids=lambda path: path.parent.name)
def test_what_was_read_is_written(path: Path) -> None:
    assert yaml.safe_load(dump(load(path))) == yaml.safe_load(path.read_text())


def test_what_nuclio_added_stays(tmp_path: Path) -> None:
    path = tmp_path / "processor.yaml"
    path.write_text(PROCESSOR_YAML)
    document = yaml.safe_load(PROCESSOR_YAML)
    assert yaml.safe_load(dump(load_deployed(path))) == document
    changed = load_deployed(path).with_spec(image="cats:2").with_trigger(port=1).with_annotations(spec="[1]")
    document["spec"]["image"], document["metadata"]["annotations"]["spec"] = "cats:2", "[1]"
    document["spec"]["triggers"]["http"]["attributes"]["port"] = 1
    assert to_document(changed) == document


def test_a_change_of_the_trigger_leaves_further_ones(tmp_path: Path) -> None:
    triggers = {name: {"kind": "http", "attributes": {"port": port}} for name, port in (("http", 1), ("web", 2))}
    changed = _load(write_function(tmp_path, "cats", triggers=triggers)).with_trigger(port=3)
    assert {name: each.port for name, each in changed.spec.triggers.items()} == {"http": 3, "web": 2}


def test_what_is_deployed_is_checked_too() -> None:
    document = yaml.safe_load(PROCESSOR_YAML)
    document["metadata"]["annotations"]["spec"] = [{"name": "car"}]
    with pytest.raises(FunctionConfigError, match=r"nuctl: metadata\.annotations\.spec must be a text"):
        parse_deployed(document, "nuctl")


def test_a_change_leaves_the_original_and_is_checked(tmp_path: Path) -> None:
    config = _load(write_function(tmp_path, "cats", build={"path": "."}, env=[{"name": n, "value": n} for n in "AC"]))
    before = copy.deepcopy(to_document(config))
    changed = config.with_spec(image="cats:1", build=None).with_env(A="2", B="3").with_metadata(namespace="cvat")
    assert list(changed.env.items()) == [("A", "2"), ("C", "C"), ("B", "3")]
    assert (changed.spec.image, changed.metadata.namespace) == ("cats:1", "cvat")
    assert "build" not in to_document(changed)["spec"]
    assert to_document(config) == before
    with pytest.raises(ValidationError, match="a whole number from 0 on"):
        config.with_trigger(port="any")
    with pytest.raises(TypeError, match="Spec has no field 'imag'"):
        config.with_spec(imag="cats:1")
    with pytest.raises(ValidationError, match="frozen"):
        config.spec.image = "cats:1"


def test_labels_are_written_as_a_block(tmp_path: Path) -> None:
    config = _load(write_function(tmp_path, "cats")).with_annotations(spec="[\n1\n]")
    assert "spec: |-\n" in dump(config)


def test_without_names_every_function_is_found(tmp_path: Path) -> None:
    write_function(tmp_path, "dogs")
    write_function(tmp_path, "cats")
    (tmp_path / "notes").mkdir()
    assert [config.name for config in find(tmp_path).values()] == ["cats", "dogs"]
    assert list(find(tmp_path, ("dogs",))) == [tmp_path / "dogs"]


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
