"""Each function.yaml is a complete Nuclio configuration, and says what CVAT needs.

One function with broken metadata breaks CVAT's whole model list. That no key is misspelt and every value has its type
is the reader's work (tests/config/test_function_yaml.py).
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promptable.config import labels
from promptable.config.function_yaml import load
from promptable.config.nuclio import FunctionConfig, FunctionType

FUNCTIONS = Path(__file__).parents[2] / "functions"
NAMES = ("grounding-dino", "sam-interactor", "sam2-tracker")

_CVAT_SECONDS = 120  # how long CVAT waits for an answer
_EDITOR_SECONDS = 60  # how long CVAT's nginx waits for one in the editor
_FIXED_PORTS = range(1024, 32768)  # below the ephemeral ports, which any program may hold
_OF_ALL = {"name", "type", "framework", "spec"}
_OF_ONE = {
    FunctionType.DETECTOR: set[str](),
    FunctionType.INTERACTOR: {
        "version",
        "min_pos_points",
        "min_neg_points",
        "startswith_box_optional",
        "help_message",
    },  # without startswith_box: CVAT takes any text there for true, "false" too
    FunctionType.TRACKER: {"supported_shape_types"},
}
_8K_PNG_BYTES = 7680 * 4320 * 3  # PNG cannot be counted on to make a frame of 8-bit RGB smaller


def _config(name: str) -> FunctionConfig:
    return load(FUNCTIONS / name / "function.yaml")


@pytest.fixture(params=NAMES)
def config(request: pytest.FixtureRequest) -> FunctionConfig:
    return _config(request.param)


def test_the_files_are_the_functions() -> None:
    assert sorted(path.parent.name for path in FUNCTIONS.glob("*/function.yaml")) == sorted(NAMES)
    assert [_config(name).metadata.name for name in NAMES] == list(NAMES)


def test_nuclio_and_kubernetes_take_the_name(config: FunctionConfig) -> None:
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", config.metadata.name)
    assert config.metadata.name != "pth-facebookresearch-sam-vit-h", "CVAT's own browser plugin takes that one over"


def test_the_runtime_is_the_images_python(config: FunctionConfig) -> None:
    assert config.spec.runtime == "python:3.11"
    module, function = config.spec.handler.split(":")
    assert f"def {function}(" in (FUNCTIONS / config.metadata.name / f"{module}.py").read_text()


def test_one_worker_holds_the_model_and_the_next_request_waits_for_it(config: FunctionConfig) -> None:
    assert list(config.spec.triggers) == ["http"]
    assert config.trigger.workers == 1
    assert 10 <= config.trigger.wait_seconds < _CVAT_SECONDS


def test_a_worker_is_given_up_before_cvat_gives_up_the_call(config: FunctionConfig) -> None:
    seconds = config.event_timeout_seconds
    patience = _EDITOR_SECONDS if config.metadata.name == "sam-interactor" else _CVAT_SECONDS
    assert seconds is not None
    assert patience / 2 < seconds < patience


def test_the_model_has_time_to_load(config: FunctionConfig) -> None:
    assert config.spec.readiness_timeout_seconds >= 300


def test_an_8k_frame_fits_in_base64(config: FunctionConfig) -> None:
    assert config.trigger.max_body_bytes > _8K_PNG_BYTES * 4 / 3 + 2**20


def test_the_ports_are_fixed_and_differ() -> None:
    ports = [_config(name).trigger.port for name in NAMES]
    assert all(port in _FIXED_PORTS for port in ports)
    assert len(set(ports)) == len(ports)


def test_it_asks_for_a_gpu_comes_back_after_a_reboot_and_is_not_root(config: FunctionConfig) -> None:
    assert config.spec.resources.limits == {"nvidia.com/gpu": 1}
    restart = config.spec.platform.attributes.restart_policy
    assert restart is not None
    assert restart.name == "always"
    context = config.spec.security_context
    assert context.run_as_non_root
    assert context.run_as_user
    assert context.run_as_user == context.run_as_group == context.fs_group


def test_it_logs_at_level_info(config: FunctionConfig) -> None:
    assert [sink.level for sink in config.spec.logger_sinks] == ["info"]


def test_cvat_shows_a_description(config: FunctionConfig) -> None:
    assert config.spec.description.strip()


def test_the_annotations_are_those_of_their_kind(config: FunctionConfig) -> None:
    annotations = config.metadata.annotations
    assert annotations.model_fields_set == _OF_ALL | _OF_ONE[annotations.type]
    json.loads(annotations.spec or "[]")


def test_the_detectors_labels_carry_what_cvat_needs() -> None:
    spec = _config("grounding-dino").metadata.annotations.spec
    assert len(labels.load(spec)) > 0
    for number, label in enumerate(json.loads(spec)):
        assert label["id"] == number
        assert label.get("attributes", []) == ([] if "marks" in label else list(labels.ATTRIBUTES))


def test_the_interactor_takes_clicks_boxes_or_both() -> None:
    interactor = _config("sam-interactor").metadata.annotations
    assert (interactor.version, interactor.startswith_box_optional) == ("2", "true")
    least = (int(interactor.min_pos_points), int(interactor.min_neg_points))
    assert least == (0, 0), "as CVAT's own SAM: with 1 its editor never sends a box alone"


def test_the_tracker_names_its_shapes() -> None:
    tracker = _config("sam2-tracker").metadata.annotations
    assert tracker.supported_shape_types.split(",") == ["rectangle", "mask", "polygon"]


@pytest.mark.parametrize("name", NAMES)
def test_the_entry_point_loads_light(name: str) -> None:
    """Nuclio gives up on a worker that has not connected within two minutes: torch has to wait for init_context."""
    code = "import sys, main; sys.exit(sorted({'torch', 'transformers', 'cv2'} & set(sys.modules)) or 0)"
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=FUNCTIONS / name, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
