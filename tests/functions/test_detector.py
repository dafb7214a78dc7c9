"""What the detector answers for each label type, and which threshold counts."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.client import encode_png
from promptable.labels import LabelError
from promptable.serving.settings import SettingsError
from tests.functions.conftest import TOY, Function
from tests.functions.requests import SCENE

BODY = {"image": encode_png(SCENE.image)}


def _detector(folder: Path, entries: list[dict[str, Any]], **environment: str) -> Function:
    config = folder / "processor.yaml"
    config.write_text(yaml.safe_dump({"metadata": {"annotations": {"spec": json.dumps(entries)}}}))
    models = {"PROMPTABLE_MODEL": str(TOY / "grounding-dino"), "PROMPTABLE_MASK_MODEL": str(TOY / "sam")}
    return Function("grounding-dino", models | {"PROMPTABLE_FUNCTION_CONFIG": str(config)} | environment)


def _entries(kind: str, **more: object) -> list[dict[str, Any]]:
    return [{"name": thing.label, "type": kind, **more} for thing in {o.label: o for o in SCENE.objects}.values()]


@pytest.mark.parametrize("kind", ["rectangle", "polygon", "mask", "tag"])
def test_a_label_is_answered_in_its_type(tmp_path: Path, kind: str) -> None:
    items = _detector(tmp_path, _entries(kind)).answer(BODY)
    assert items
    assert {item["type"] for item in items} == {kind}
    labels = [item["label"] for item in items]
    assert kind != "tag" or len(labels) == len(set(labels)), "a frame has each tag once"


def test_synonyms_are_one_label(tmp_path: Path) -> None:
    thing = SCENE.objects[-1]
    entry = {"name": "thing", "prompts": [thing.label, thing.label.upper()]}
    plain = _detector(tmp_path, [{"name": "thing", "prompts": [thing.label]}]).answer(BODY)
    assert {item["label"] for item in plain} == {"thing"}
    assert len(_detector(tmp_path, [entry]).answer(BODY)) == len(plain)


def test_request_over_label_over_default_threshold(tmp_path: Path) -> None:
    strict = _detector(tmp_path, _entries("rectangle", threshold=1.0))
    assert strict.answer(BODY) == []
    assert strict.answer(BODY | {"threshold": 0.3}) != []
    default = _detector(tmp_path, _entries("rectangle"), PROMPTABLE_THRESHOLD="1.0")
    assert default.answer(BODY) == []
    own = _detector(tmp_path, _entries("rectangle", threshold=0.3), PROMPTABLE_THRESHOLD="1.0")
    assert own.answer(BODY) != []


def test_the_strongest_are_kept_where_there_are_too_many(tmp_path: Path) -> None:
    every = _detector(tmp_path, _entries("rectangle")).answer(BODY | {"threshold": 0.01})
    two = _detector(tmp_path, _entries("rectangle"), PROMPTABLE_MAX_DETECTIONS="2").answer(BODY | {"threshold": 0.01})
    assert len(every) > 2
    assert two == every[:2]
    confidences = [item["confidence"] for item in every]
    assert confidences == sorted(confidences, reverse=True)


def test_boxes_lie_in_the_picture(tmp_path: Path) -> None:
    for item in _detector(tmp_path, _entries("rectangle")).answer(BODY | {"threshold": 0.01}):
        left, top, right, bottom = item["points"]
        assert 0 <= left < right <= 192
        assert 0 <= top < bottom <= 192


def test_rectangles_need_no_mask_model(tmp_path: Path) -> None:
    assert _detector(tmp_path, _entries("rectangle"), PROMPTABLE_MASK_MODEL="/nowhere").answer(BODY)
    with pytest.raises(FileNotFoundError):
        _detector(tmp_path, _entries("mask"), PROMPTABLE_MASK_MODEL="/nowhere")


def test_wrong_labels_and_settings_keep_the_function_from_starting(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cuboid"):
        _detector(tmp_path, [{"name": "car", "type": "cuboid"}])
    with pytest.raises(SettingsError, match="PROMPTABLE_THRESHOLD"):
        _detector(tmp_path, _entries("rectangle"), PROMPTABLE_THRESHOLD="2")
