"""The detector under cvat-sdk's own driver of auto-annotation functions."""

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from promptable.cvat.auto_annotation import create
from tests.cvat.annotating import prepare
from tests.cvat.test_annotate_folder import LABELS, detect_each_type
from toy.cvat.stand_in import StandIn


def _context(**given: Any) -> Any:
    return SimpleNamespace(**({"frame_name": "a.png", "conf_threshold": None, "conv_mask_to_poly": False} | given))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, [("rust", "rectangle", 0.9), ("dent", "polygon", 0.7), ("crack", "mask", 0.5)]),
        ({"conf_threshold": 0.6}, [("rust", "rectangle", 0.9), ("dent", "polygon", 0.7)]),
        (
            {"conv_mask_to_poly": True},
            [("rust", "rectangle", 0.9), ("dent", "polygon", 0.7), ("crack", "polygon", 0.5)],
        ),
    ],
)
def test_detections_carry_labels_of_the_spec_and_scores(
    cvat: StandIn, given: dict[str, Any], found: list[tuple[str, str, float]]
) -> None:
    prepare(cvat)
    cvat.answers = {"": detect_each_type}
    function = create(f"{cvat.url}/")
    assert [(label.name, str(label.type)) for label in function.spec.labels] == [
        (one["name"], one["type"]) for one in LABELS
    ]
    names = {label.id: label.name for label in function.spec.labels}
    answer = function.detect(_context(**given), Image.new("RGB", (60, 40)))
    assert [(names[one.label_id], str(one.type), one.score) for one in answer] == found
    assert not any(hasattr(one, "source") for one in answer), "cvat-sdk refuses it"


@pytest.mark.parametrize("mode", ["CMYK", "F"])
def test_pictures_of_modes_that_png_lacks_are_asked_about(cvat: StandIn, mode: str) -> None:
    prepare(cvat)
    cvat.answers = {"": detect_each_type}
    image = Image.new("RGB", (60, 40)).convert(mode)
    assert len(create(f"{cvat.url}/").detect(_context(), image)) == 3
