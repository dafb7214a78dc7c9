"""Settings come from the environment once, and a wrong one names its variable and what it takes."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from promptable.config import models_page
from promptable.config.environment import SettingsError, check, read, variables
from promptable.config.nuclio import FunctionType
from promptable.config.settings import SETTINGS, DetectorSettings, InteractorSettings, RedisSettings, Settings
from promptable.config.settings_page import page
from promptable.wire.answer_form import AnswerForm

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_without_variables_the_defaults_hold() -> None:
    assert read(DetectorSettings, {}) == DetectorSettings()
    assert read(DetectorSettings, {"PROMPTABLE_THRESHOLD": ""}).threshold == "auto"


def test_variables_are_read_into_their_types() -> None:
    environ = {"PROMPTABLE_WEIGHTS": "/w", "PROMPTABLE_THRESHOLD": "0.5", "PROMPTABLE_MAX_DETECTIONS": "7"}
    settings = read(DetectorSettings, environ)
    assert (settings.weights_dir, settings.threshold, settings.max_detections) == (Path("/w"), 0.5, 7)
    assert [read(DetectorSettings, {"PROMPTABLE_TILE_SIZE": size}).tile_size for size in ("0", "64")] == [0, 64]
    assert read(InteractorSettings, {"PROMPTABLE_ANSWER_FORM": "mask"}).answer_form is AnswerForm.MASK


@pytest.mark.parametrize(
    ("variable", "text", "accepted"),
    [
        ("PROMPTABLE_THRESHOLD", "high", "auto or a number from 0 to 1"),
        ("PROMPTABLE_THRESHOLD", "1.01", "auto or a number from 0 to 1"),
        ("PROMPTABLE_THRESHOLD", "nan", "auto or a number from 0 to 1"),
        ("PROMPTABLE_MAX_DETECTIONS", "2.5", "an integer from 1 to 10000"),
        ("PROMPTABLE_TILE_SIZE", "1", "0 or an integer from 64 to 100000"),
        ("PROMPTABLE_TILE_SIZE", "-64", "0 or an integer from 64 to 100000"),
        ("PROMPTABLE_DEVICE", "gpu", "auto, cpu, cuda or cuda:N"),
        ("PROMPTABLE_DEVICE", "cuda:x", "auto, cpu, cuda or cuda:N"),
        ("PROMPTABLE_PRECISION", "int8", "auto, fp32, bf16 or fp16"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_it_takes(variable: str, text: str, accepted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(DetectorSettings, {variable: text})
    assert str(caught.value) == f"{variable}: expected {accepted}, got {text!r}"


def test_a_wrong_answer_form_is_refused() -> None:
    with pytest.raises(SettingsError, match="shapes or mask"):
        read(InteractorSettings, {"PROMPTABLE_ANSWER_FORM": "json"})


def test_the_page_of_models_is_that_of_the_catalogue() -> None:
    """``make docs`` writes it."""
    assert PAGE.with_name("models.md").read_text() == models_page.page()


def test_the_page_is_that_of_the_settings() -> None:
    """``make docs`` writes it."""
    assert PAGE.read_text() == page()


def test_every_setting_is_on_the_page() -> None:
    every: list[type[Settings]] = [*SETTINGS.values(), RedisSettings]
    absent = [variable for each in every for variable in variables(each)]
    assert [variable for variable in absent if f"| `{variable}` |" not in PAGE.read_text()] == []


def test_every_wrong_variable_is_named() -> None:
    with pytest.raises(
        SettingsError, match=r"PROMPTABLE_DEVICE: .*; PROMPTABLE_NMS_IOU: expected a number from 0 to 1"
    ):
        read(DetectorSettings, {"PROMPTABLE_DEVICE": "gpu", "PROMPTABLE_NMS_IOU": "2"})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DetectorSettings().threshold = 0.5


def test_a_password_comes_from_its_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hidden\n")
    settings = read(RedisSettings, {"CVAT_FUNCTIONS_REDIS_PASSWORD_FILE": str(file)})
    assert settings.password_from_file == file.read_text().strip()
    assert "hidden" not in repr(settings)
    with pytest.raises(
        SettingsError, match=r"CVAT_FUNCTIONS_REDIS_PASSWORD_FILE: expected a readable file, got '/none'"
    ):
        read(RedisSettings, {"CVAT_FUNCTIONS_REDIS_PASSWORD_FILE": "/none"})


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PROMPTABLE_THRESHHOLD": "0.3"}, r"no setting of a detector: perhaps PROMPTABLE_THRESHOLD\?"),
        ({"PROMPTABLE_CLICK_MEANS": "part"}, "PROMPTABLE_CLICK_MEANS is no setting of a detector"),
        ({"CVAT_FUNCTIONS_REDIS_PROT": "1"}, "CVAT_FUNCTIONS_REDIS_PORT"),
        ({"CVAT_FUNCTIONS_REDIS_PASSWORD": "x"}, "could be read by others .* CVAT_FUNCTIONS_REDIS_PASSWORD_FILE"),
        ({"PROMPTABLE_THRESHOLD": "high"}, "expected auto or a number from 0 to 1"),
        ({"CVAT_FUNCTIONS_REDIS_PORT": "high"}, "expected an integer from 1 to 65535"),
        ({"CVAT_FUNCTIONS_REDIS_HOST": "redis..svc"}, "expected a host's name or address"),
        ({"CVAT_FUNCTIONS_REDIS_HOST": "r" * 64}, "expected a host's name or address"),
    ],
)
def test_what_people_write_is_checked_for_unknown_variables(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        check(variables, FunctionType.DETECTOR)


def test_what_is_not_ours_and_lies_elsewhere_is_not_checked() -> None:
    check({"PATH": "/bin", "CVAT_FUNCTIONS_REDIS_PASSWORD_FILE": "/run/secrets/password"}, FunctionType.TRACKER)
