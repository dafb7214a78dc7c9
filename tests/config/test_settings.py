"""Settings come from the environment once, and a wrong one names its variable and what it takes."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from promptable.config.settings import (
    CommonSettings,
    DetectorSettings,
    InteractorSettings,
    RedisSettings,
    SettingsError,
    TrackerSettings,
    read,
)
from promptable.wire.interactor import AnswerForm

ALL = (DetectorSettings, InteractorSettings, TrackerSettings, RedisSettings)
README = Path(__file__).parents[2] / "README.md"


def test_without_variables_the_defaults_hold() -> None:
    assert read(DetectorSettings, {}) == DetectorSettings()
    assert read(DetectorSettings, {"PROMPTABLE_THRESHOLD": ""}).threshold == 0.35


def test_variables_are_read_into_their_types() -> None:
    environ = {"PROMPTABLE_WEIGHTS": "/w", "PROMPTABLE_THRESHOLD": "0.5", "PROMPTABLE_MAX_DETECTIONS": "7"}
    settings = read(DetectorSettings, environ)
    assert (settings.weights_dir, settings.threshold, settings.max_detections) == (Path("/w"), 0.5, 7)
    assert [read(DetectorSettings, {"PROMPTABLE_TILE_SIZE": size}).tile_size for size in ("0", "64")] == [0, 64]
    assert read(InteractorSettings, {"PROMPTABLE_ANSWER_FORM": "mask"}).answer_form is AnswerForm.MASK


@pytest.mark.parametrize(
    ("variable", "text", "accepted"),
    [
        ("PROMPTABLE_THRESHOLD", "high", "a number from 0 to 1"),
        ("PROMPTABLE_THRESHOLD", "1.01", "a number from 0 to 1"),
        ("PROMPTABLE_THRESHOLD", "nan", "a number from 0 to 1"),
        ("PROMPTABLE_MAX_DETECTIONS", "2.5", "an integer from 1 to 10000"),
        ("PROMPTABLE_TILE_SIZE", "1", "0 or an integer from 64 to 100000"),
        ("PROMPTABLE_TILE_SIZE", "-64", "0 or an integer from 64 to 100000"),
        ("PROMPTABLE_DEVICE", "gpu", "auto, cpu, cuda or cuda:N"),
        ("PROMPTABLE_DEVICE", "cuda:x", "auto, cpu, cuda or cuda:N"),
        ("PROMPTABLE_PRECISION", "fp16", "auto, fp32 or bf16"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_it_takes(variable: str, text: str, accepted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(DetectorSettings, {variable: text})
    assert str(caught.value) == f"{variable}: expected {accepted}, got {text!r}"


def test_a_wrong_answer_form_is_refused() -> None:
    with pytest.raises(SettingsError, match="shapes or mask"):
        read(InteractorSettings, {"PROMPTABLE_ANSWER_FORM": "json"})


@pytest.mark.parametrize("settings", ALL)
def test_every_setting_is_in_the_readme(settings: type[CommonSettings | RedisSettings]) -> None:
    text = README.read_text()
    assert [f.metadata["variable"] for f in fields(settings) if f"`{f.metadata['variable']}`" not in text] == []


@pytest.mark.parametrize("settings", ALL)
def test_the_readme_has_the_defaults(settings: type[CommonSettings | RedisSettings]) -> None:
    written = _defaults_in_readme()
    wrong = {f.metadata["variable"]: f.default for f in fields(settings) if not _says(written, f)}
    assert wrong == {}


def _defaults_in_readme() -> dict[str, list[str]]:
    """What the second column of the README's table has in backticks, by the variable in the first."""
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", README.read_text(), re.MULTILINE)
    return {variable: re.findall(r"`([^`]*)`", default) for variable, default in rows}


def _says(written: dict[str, list[str]], setting: Any) -> bool:
    """Whether the README gives a setting this default; that of a path may be its end."""
    texts, default = written[setting.metadata["variable"]], setting.default
    if default in ("", None):
        return not texts
    parse = setting.metadata["kind"].parse
    return any(parse(text) == default or (isinstance(default, Path) and default.match(text)) for text in texts)
