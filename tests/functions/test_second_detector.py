"""A further detector is one file and one row of the catalogue: all that serves the first one serves it too."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from promptable.config.labels import LabelError
from promptable.models import catalogue
from tests.functions import colours
from tests.functions.conftest import Function, new_detector
from toy.png import png_base64

PICTURE = np.full((120, 200, 3), 30, np.uint8)
PICTURE[20:60, 30:90] = (205, 40, 45)
PICTURE[80:110, 120:180] = (40, 80, 205)


@pytest.fixture(autouse=True)
def _row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "OFFICIAL", MappingProxyType({**catalogue.OFFICIAL, "colours": colours.ROW}))


def _function(folder: Path, kind: str, **environment: str) -> Function:
    entries: list[Mapping[str, object]] = [
        {"name": "warm", "type": kind, "prompts": ["red", "orange"]},
        {"name": "cold", "type": "rectangle", "prompts": ["blue"]},
        {"name": "leaf", "type": "tag", "prompts": ["green"]},
    ]
    return _started(folder, entries, **environment)


def _started(folder: Path, entries: list[Mapping[str, object]], **environment: str) -> Function:
    (folder / colours.ROW.file_name).touch()
    return new_detector(folder, entries, PROMPTABLE_MODEL="colours", PROMPTABLE_WEIGHTS=str(folder), **environment)


def _answer(function: Function, image: Any = PICTURE) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = function.answer({"image": png_base64(image)})
    return answer


def test_boxes_by_label(tmp_path: Path) -> None:
    items = _answer(_function(tmp_path, "rectangle"))
    assert {(item["label"], item["type"], tuple(item["points"])) for item in items} == {
        ("warm", "rectangle", (30, 20, 90, 60)),
        ("cold", "rectangle", (120, 80, 180, 110)),
    }


@pytest.mark.parametrize("kind", ["mask", "polygon"])
def test_masks_of_its_boxes(tmp_path: Path, kind: str) -> None:
    items = _answer(_function(tmp_path, kind))
    assert {item["label"]: item["type"] for item in items} == {"warm": kind, "cold": "rectangle"}


def test_a_large_picture_in_tiles(tmp_path: Path) -> None:
    """A thing that tiles cut is joined again."""
    items = _answer(_function(tmp_path, "rectangle", PROMPTABLE_TILE_SIZE="80", PROMPTABLE_TILE_WHOLE="false"))
    assert ("cold", [120, 80, 180, 110]) in [(item["label"], item["points"]) for item in items]


def test_tags_and_a_requests_threshold(tmp_path: Path) -> None:
    function = _function(tmp_path, "rectangle")
    leaves = PICTURE.copy()
    leaves[:10] = (45, 150, 60)
    leaves[5, 20] = 0
    assert [item["label"] for item in _answer(function, leaves)][-1] == "leaf"
    strict = function.answer({"image": png_base64(leaves), "threshold": 1.0})
    assert {item["label"] for item in strict} == {"warm", "cold"}


def test_prompts_that_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="label 'dog': prompt 'dog' is no colour"):
        _started(tmp_path, [{"name": "dog", "type": "rectangle"}])


def test_prompts_of_two_labels_that_it_cannot_tell_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colours, "COLOURS", {**colours.COLOURS, "azure": colours.COLOURS["blue"]})
    with pytest.raises(LabelError, match="labels 'sea' and 'sky' have prompts that are the same to the model"):
        _started(tmp_path, [{"name": "sea", "prompts": ["blue"]}, {"name": "sky", "prompts": ["azure"]}])


def test_it_can_be_deployed() -> None:
    assert "colours" in catalogue.names(catalogue.Task.DETECTION)
