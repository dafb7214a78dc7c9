"""What the detector answers for each label type, and which threshold counts."""

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.answers import drawing_of
from promptable.config.environment import SettingsError
from promptable.config.labels import LabelError
from promptable.models.sam.segmenter import SamSegmenter
from tests.functions.conftest import TOY, new_detector
from tests.functions.requests import SCENE
from toy.metrics import box_iou, mask_iou
from toy.png import png_base64

BODY = {"image": png_base64(SCENE.image)}
NAMES = ["white triangle", "ivory wedge"]
"""Two names of the scene's one object that the toy detector was trained on."""


def _entries(kind: str, **more: object) -> list[dict[str, Any]]:
    return [{"name": thing.label, "type": kind, **more} for thing in {o.label: o for o in SCENE.objects}.values()]


@pytest.mark.parametrize("kind", ["rectangle", "polygon", "mask", "tag"])
def test_a_label_is_answered_in_its_type(tmp_path: Path, kind: str) -> None:
    items = new_detector(tmp_path, _entries(kind)).answer(BODY | {"threshold": 0.01})
    assert len(items) > (kind != "tag")
    assert {item["type"] for item in items} == {kind}
    labels = [item["label"] for item in items]
    assert kind != "tag" or len(labels) == len(set(labels)), "a frame has each tag once"


def test_synonyms_are_one_label(tmp_path: Path) -> None:
    both = new_detector(tmp_path, [{"name": "thing", "prompts": NAMES}])
    items = both.answer(BODY | {"threshold": 0.01})
    assert {item["label"] for item in items} == {"thing"}
    boxes = [np.array(item["points"], np.float32) for item in items]
    assert max(box_iou(one, other) for one, other in combinations(boxes, 2)) <= 0.6
    for prompts in ([name] for name in NAMES):
        alone = new_detector(tmp_path, [{"name": "thing", "prompts": prompts}]).answer(BODY)
        assert [item["label"] for item in alone] == ["thing"]
        assert box_iou(np.array(alone[0]["points"], np.float32), boxes[0]) > 0.9, "each finds it"
    apart = new_detector(tmp_path, _named_apart()).answer(BODY | {"threshold": 0.01})
    assert {item["label"] for item in apart} == {"one", "other"}, "both count"


def _named_apart() -> list[dict[str, Any]]:
    return [{"name": name, "prompts": [prompt]} for name, prompt in zip(("one", "other"), NAMES, strict=True)]


def test_request_over_label_over_default_threshold(tmp_path: Path) -> None:
    strict = new_detector(tmp_path, _entries("rectangle", threshold=1.0))
    assert strict.answer(BODY) == []
    assert strict.answer(BODY | {"threshold": 0.3}) != []
    default = new_detector(tmp_path, _entries("rectangle"), PROMPTABLE_THRESHOLD="1.0")
    assert default.answer(BODY) == []
    own = new_detector(tmp_path, _entries("rectangle", threshold=0.3), PROMPTABLE_THRESHOLD="1.0")
    assert own.answer(BODY) != []


def test_the_strongest_are_kept_where_there_are_too_many(tmp_path: Path) -> None:
    every = new_detector(tmp_path, _entries("rectangle")).answer(BODY | {"threshold": 0.01})
    two = new_detector(tmp_path, _entries("rectangle"), PROMPTABLE_MAX_DETECTIONS="2").answer(
        BODY | {"threshold": 0.01}
    )
    assert len(every) > 2
    assert two == every[:2]
    confidences = [item["confidence"] for item in every]
    assert confidences == sorted(confidences, reverse=True)


def test_shapes_that_are_too_many_leave_the_tags(tmp_path: Path) -> None:
    entries = [{"name": "thing", "prompts": NAMES[:1]}, {"name": "has one", "type": "tag", "prompts": NAMES[1:]}]
    items = new_detector(tmp_path, entries, PROMPTABLE_MAX_DETECTIONS="1").answer(BODY | {"threshold": 0.01})
    assert [(item["type"], item["label"]) for item in items] == [("rectangle", "thing"), ("tag", "has one")]


def test_boxes_lie_in_the_picture(tmp_path: Path) -> None:
    for item in new_detector(tmp_path, _entries("rectangle")).answer(BODY | {"threshold": 0.01}):
        left, top, right, bottom = item["points"]
        assert 0 <= left < right <= 192
        assert 0 <= top < bottom <= 192


def test_rectangles_need_no_mask_model(tmp_path: Path) -> None:
    assert new_detector(tmp_path, _entries("rectangle"), PROMPTABLE_MASK_MODEL="/nowhere").answer(BODY)
    with pytest.raises(FileNotFoundError):
        new_detector(tmp_path, _entries("mask"), PROMPTABLE_MASK_MODEL="/nowhere")


def test_confidence_and_review_are_attributes_that_cvat_keeps(tmp_path: Path) -> None:
    entries = [{"name": "thing", "prompts": NAMES[:1]}, {"name": "has one", "type": "tag", "prompts": NAMES[1:]}]
    items = new_detector(tmp_path, entries, PROMPTABLE_REVIEW_THRESHOLD="0.6").answer(BODY | {"threshold": 0.01})
    assert {item["type"] for item in items} == {"rectangle", "tag"}
    for item in items:
        attributes = {attribute["name"]: attribute["value"] for attribute in item["attributes"]}
        assert attributes == {
            "confidence": str(math.floor(100 * item["confidence"])),
            "review": "true" if item["confidence"] < 0.6 else "false",
        }


@pytest.mark.parametrize(("threshold", "tags"), [("0", []), ("1", ["needs-review"])])
def test_a_frame_with_something_to_review_gets_its_tag_where_there_is_one(
    tmp_path: Path, threshold: str, tags: list[str]
) -> None:
    entries = [*_entries("rectangle"), {"name": "needs-review", "marks": "review"}]
    items = new_detector(tmp_path, entries, PROMPTABLE_REVIEW_THRESHOLD=threshold).answer(BODY)
    assert [item["label"] for item in items if item["type"] == "tag"] == tags
    untagged = new_detector(tmp_path, _entries("rectangle"), PROMPTABLE_REVIEW_THRESHOLD=threshold).answer(BODY)
    assert untagged == [item for item in items if item["type"] != "tag"]


def test_a_label_that_marks_frames_is_not_looked_for(tmp_path: Path) -> None:
    marking = new_detector(tmp_path, [*_entries("rectangle"), {"name": "zebra", "marks": "review"}])
    assert marking.answer(BODY), "zebra is not in the toy's vocabulary"


def test_shapes_as_large_as_the_picture_are_dropped_and_tags_are_not(tmp_path: Path) -> None:
    small = {"PROMPTABLE_MAX_BOX_AREA": "0.01"}
    assert new_detector(tmp_path, _entries("rectangle"), **small).answer(BODY) == []
    assert new_detector(tmp_path, _entries("tag"), **small).answer(BODY) != []


def test_a_second_label_for_an_object_can_be_suppressed(tmp_path: Path) -> None:
    low = BODY | {"threshold": 0.01}
    labels = {item["label"] for item in new_detector(tmp_path, _named_apart()).answer(low)}
    alone = new_detector(tmp_path, _named_apart(), PROMPTABLE_CROSS_LABEL_NMS_IOU="0.01").answer(low)
    assert labels == {"one", "other"}
    assert [item["label"] for item in alone] == ["one"]


def test_a_large_picture_is_looked_at_in_tiles(tmp_path: Path) -> None:
    image = np.tile(SCENE.image, (2, 2, 1))
    tiles = {"PROMPTABLE_TILE_SIZE": "192", "PROMPTABLE_TILE_OVERLAP": "0.5"}
    items = new_detector(tmp_path, _entries("rectangle"), **tiles).answer({"image": png_base64(image)})
    for thing in SCENE.objects:
        wanted = [thing.xyxy + np.array([x, y, x, y], np.float32) for x in (0, 192) for y in (0, 192)]
        found = [np.array(item["points"], np.float32) for item in items if item["label"] == thing.label]
        assert all(any(box_iou(box, one) > 0.7 for one in found) for box in wanted)


def test_masks_come_from_one_encoding_and_one_decoding_of_pictures_that_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("encode_image", "predict_boxes"):
        plain = getattr(SamSegmenter, name)
        monkeypatch.setattr(
            SamSegmenter,
            name,
            lambda *given, name=name, plain=plain: calls.append(name) or plain(*given),  # type: ignore[func-returns-value]
        )
    function = new_detector(tmp_path, _entries("mask"))
    assert len(function.answer(BODY | {"threshold": 0.001})) > 1
    assert calls == ["encode_image", "predict_boxes"]
    assert function.answer(BODY | {"threshold": 1.0}) == []
    assert calls == ["encode_image", "predict_boxes"], "nothing on this frame is a mask"


def test_sam2_masks_too(tmp_path: Path) -> None:
    sam2 = {"PROMPTABLE_MASK_MODEL": str(TOY / "sam2")}
    (item,) = new_detector(tmp_path, _entries("mask"), **sam2).answer(BODY)
    assert item["type"] == "mask"
    mask = drawing_of(item, (192, 192)).mask
    assert mask is not None
    assert mask_iou(mask, SCENE.objects[-1].mask) > 0.8
    assert {"name": "review", "value": "false"} in item["attributes"], "it is no filled box"


def test_wrong_labels_and_settings_keep_the_function_from_starting(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cuboid"):
        new_detector(tmp_path, [{"name": "car", "type": "cuboid"}])
    for prompt, said in (("\N{AUTOMOBILE}", "vocabulary"), ("red " * 300, "300 tokens")):
        entries = [*_entries("rectangle"), {"name": "thing", "prompts": [prompt]}]
        with pytest.raises(LabelError, match=f"label 'thing': prompt .* {said}"):
            new_detector(tmp_path, entries)
    with pytest.raises(SettingsError, match="PROMPTABLE_THRESHOLD"):
        new_detector(tmp_path, _entries("rectangle"), PROMPTABLE_THRESHOLD="2")
    with pytest.raises(SettingsError, match=r"PROMPTABLE_ON_FAILURE.*marks: failure"):
        new_detector(tmp_path, _entries("rectangle"), PROMPTABLE_ON_FAILURE="tag")
