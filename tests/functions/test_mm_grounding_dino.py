"""MM-Grounding-DINO behind the function: with the toy's weights, mapped, it answers as the toy does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from promptable.cli.main import main
from promptable.models.grounding_dino.detector import GroundingDINO
from promptable.models.load import default_threshold, load_detector
from tests.functions.conftest import TOY, new_detector
from tests.models.mm_grounding_dino.toy import write_toy
from toy.png import png_base64
from toy.scenes import LABELS, scene

PICTURE = scene(30_000_003, size=256).image
ENTRIES: list[dict[str, Any]] = [{"name": label} for label in LABELS]
BODY = {"image": png_base64(PICTURE)}
PIXELS, CONFIDENCE = 0.02, 0.001
"""An answer's numbers are rounded, and sums of floats are in another order."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy(tmp_path_factory.mktemp("mm") / "toy")


def test_it_is_the_fast_grounding_dino_with_a_threshold_of_its_own(folder: Path) -> None:
    assert isinstance(load_detector(str(folder), folder, "cpu"), GroundingDINO)
    assert default_threshold(str(folder), folder) == default_threshold("llmdet-large", folder) == 0.4
    assert default_threshold(str(TOY / "grounding-dino"), folder) == default_threshold("swin-t", folder) == 0.35


@pytest.mark.parametrize("kind", ["rectangle", "mask"])
@pytest.mark.parametrize("tile", ["0", "128"])
def test_it_answers_as_the_toy_does(folder: Path, tmp_path: Path, kind: str, tile: str) -> None:
    labels = [entry | {"type": kind} for entry in ENTRIES[:20]]
    settings = {"PROMPTABLE_TILE_SIZE": tile, "PROMPTABLE_THRESHOLD": "0.3"}
    expected = new_detector(tmp_path, labels, **settings).answer(BODY)
    found = new_detector(tmp_path, labels, PROMPTABLE_MODEL=str(folder), **settings).answer(BODY)
    _assert_alike(found, expected)


def test_labels_and_thresholds_of_the_request(folder: Path, tmp_path: Path) -> None:
    body = BODY | {"labels": ENTRIES[1:], "threshold": 0.2}
    expected = new_detector(tmp_path, ENTRIES[:1]).answer(body)
    _assert_alike(new_detector(tmp_path, ENTRIES[:1], PROMPTABLE_MODEL=str(folder)).answer(body), expected)


def test_its_own_threshold_holds_where_nobody_says_another(folder: Path, tmp_path: Path) -> None:
    function = new_detector(tmp_path, ENTRIES, PROMPTABLE_MODEL=str(folder))
    everything = function.answer(BODY | {"threshold": 0})
    assert function.answer(BODY) == function.answer(BODY | {"threshold": 0.4}) != everything


def test_a_preview_shows_two_models_side_by_side(folder: Path, tmp_path: Path) -> None:
    """``--variant NAME=labels.yaml@MODEL``: an official name, or as here a folder."""
    (tmp_path / "pictures").mkdir()
    Image.fromarray(PICTURE).save(tmp_path / "pictures" / "a.png")
    (tmp_path / "labels.yaml").write_text("".join(f"- {label}\n" for label in LABELS[:8]))
    models = {"toy": TOY / "grounding-dino", "mm": folder}
    variants = [f"--variant={name}={tmp_path / 'labels.yaml'}@{model}" for name, model in models.items()]
    source = ["--images", str(tmp_path / "pictures"), "--local", "--output", str(tmp_path / "page.html")]
    assert main(["preview", *source, *variants]) == 0
    toy, mm = json.loads((tmp_path / "page.json").read_text())["variants"]
    assert [variant["labels"][0]["threshold"] for variant in (toy, mm)] == [0.35, 0.4]
    boxes = [np.array(variant["answers"][0]["proposals"]["boxes"]) for variant in (toy, mm)]
    np.testing.assert_allclose(boxes[0], boxes[1], atol=PIXELS)


def _assert_alike(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [item["label"] for item in found] == [item["label"] for item in expected] != []
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["type"] == theirs["type"]
        assert float(ours["confidence"]) == pytest.approx(float(theirs["confidence"]), abs=CONFIDENCE)
        np.testing.assert_allclose(ours["points"], theirs["points"], atol=PIXELS)
