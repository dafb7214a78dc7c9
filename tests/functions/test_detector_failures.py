"""A picture that cannot be answered does not end a run over thousands."""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything.modeling import MaskDecoder

from promptable.models.grounding_dino import detector as grounding_dino
from promptable.models.grounding_dino.detector import GroundingDINO
from promptable.models.runtime import device
from promptable.models.sam.segmenter import SamSegmenter
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction
from promptable.serving.detector import models as detector_models
from tests.functions.conftest import Function, new_detector
from tests.functions.requests import SCENE
from toy.png import png_base64

FAILED = {"name": "failed", "marks": "failure"}
THING = SCENE.objects[-1].label
BODY = {"image": png_base64(np.tile(SCENE.image, (2, 2, 1))), "threshold": 0.05}
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
TILES = {"PROMPTABLE_TILE_SIZE": "192"}


def truncated() -> dict[str, Any]:
    body = {"image": png_base64(SCENE.image)}
    return body | {"image": body["image"][: len(body["image"]) // 8 * 4]}


def allow_encodings_of(pixels: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Let the model run out of memory on a GPU for more than these many pixels; the sizes that were tried."""
    tried: list[tuple[int, int]] = []
    plain = GroundingDINO._encode_image

    def encode(self: GroundingDINO, image: NDArray[np.uint8], scale: float) -> Any:
        tried.append((image.shape[0], round(100 * scale)))
        if image.size // 3 * scale**2 > pixels:
            raise OUT_OF_MEMORY
        return plain(self, image, scale)

    monkeypatch.setattr(GroundingDINO, "_encode_image", encode)
    return tried


def test_a_broken_picture_is_an_error_unless_the_setting_says_tag(tmp_path: Path) -> None:
    assert new_detector(tmp_path, [{"name": THING}, FAILED]).post(truncated()).status_code == 400
    function = new_detector(tmp_path, [{"name": THING}, FAILED], PROMPTABLE_ON_FAILURE="tag")
    answer = function.answer(truncated())
    assert [(item["type"], item["label"]) for item in answer] == [("tag", "failed")]
    assert "failed: image: expected" in function.log.getvalue()
    assert "a complete picture file" in function.log.getvalue()
    assert function.answer(BODY), "the next picture is answered"


def test_who_asks_for_candidates_gets_the_error_whatever_the_setting(tmp_path: Path) -> None:
    """A list of items would be no answer: ``promptable annotate`` would take it for an old function's."""
    function = new_detector(tmp_path, [{"name": THING}, FAILED], PROMPTABLE_ON_FAILURE="tag")
    response = function.post(truncated() | {"floor": 0.05})
    assert response.status_code == 400
    assert "a complete picture file" in response.body


def test_a_wrong_request_is_an_error_whatever_the_setting(tmp_path: Path) -> None:
    function = new_detector(tmp_path, [{"name": THING}, FAILED], PROMPTABLE_ON_FAILURE="tag")
    assert function.post(BODY | {"threshold": "high"}).status_code == 400
    assert function.post({}).status_code == 400


def test_without_memory_a_picture_is_tried_with_less_and_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = new_detector(tmp_path, [{"name": THING}], **TILES)
    with monkeypatch.context() as patch:
        tried = allow_encodings_of(200 * 200, patch)
        lesser = function.answer(BODY | {"threshold": 0.001})
        assert lesser != []
    assert tried == [*[(192, 100)] * 9, (384, 100), (384, 100), (384, 50)]
    log = function.log.getvalue()
    assert log.index("full detail") < log.index("whole picture")
    assert "lower resolution" not in log, "that attempt went well"
    full = new_detector(tmp_path, [{"name": THING}], **TILES).answer(BODY | {"threshold": 0.001})
    assert function.answer(BODY | {"threshold": 0.001}) == full != lesser, "with memory again, nothing less is answered"


@pytest.mark.parametrize(("setting", "status"), [("error", 507), ("tag", 200)])
def test_a_picture_that_nothing_holds_is_answered_as_the_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, status: int
) -> None:
    function = new_detector(tmp_path, [{"name": THING}, FAILED], PROMPTABLE_ON_FAILURE=setting)
    with monkeypatch.context() as patch:
        allow_encodings_of(0, patch)
        assert function.post(BODY).status_code == status
    assert "CUDA out of memory" in function.log.getvalue()
    assert [item["label"] for item in function.answer(BODY)] != ["failed"], "with memory again, it is answered"


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_the_cpu_takes_over_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    loaded = stand_in_for_gpu(monkeypatch)
    function = new_detector(tmp_path, [{"name": THING, "type": "mask"}], PROMPTABLE_CPU_FALLBACK=allowed)
    assert loaded == ["cuda"], "nothing is loaded twice before it is needed"
    assert function.post(BODY).status_code == (200 if allowed == "true" else 507)
    assert function.post(BODY).status_code == (200 if allowed == "true" else 507)
    assert loaded == (["cuda", "cpu"] if allowed == "true" else ["cuda"])


def stand_in_for_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Say that there is a GPU, on which nothing fits; the devices for which models are loaded."""
    loaded: list[str] = []
    plain = detector_models._load_on

    def load(settings: Any, where: str) -> detector_models.Models:
        loaded.append(where)
        models = plain(settings, "cpu")
        if where == "cuda":
            for model, method in ((models.detector, "_encode_image"), (models.segmenter(), "encode_image")):
                monkeypatch.setattr(model, method, fail)
        return models

    monkeypatch.setattr(device, "resolve", lambda _: "cuda")
    monkeypatch.setattr(detector_models, "_load_on", load)
    return loaded


def fail(*_: object) -> Any:
    raise OUT_OF_MEMORY


def test_masks_that_do_not_fit_at_once_are_decoded_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = new_detector(tmp_path, [{"name": THING, "type": "mask"}], PROMPTABLE_FEATURE_CACHE_MB="0")
    expected = function.answer(BODY)
    assert len(expected) > 1
    counts = one_box_at_a_time(monkeypatch)
    assert function.answer(BODY) == expected
    assert counts == [len(expected), *[1] * len(expected)]


def one_box_at_a_time(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counts: list[int] = []
    plain: Callable[..., Iterator[Prediction]] = SamSegmenter.predict_boxes

    def predict(self: SamSegmenter, features: ImageFeatures, boxes: NDArray[np.float32]) -> Iterator[Prediction]:
        counts.append(len(boxes))
        return plain(self, features, boxes) if len(boxes) == 1 else fail()

    monkeypatch.setattr(SamSegmenter, "predict_boxes", predict)
    return counts


@pytest.mark.parametrize("kind", ["mask", "polygon"])
def test_where_sam_gives_nothing_the_box_is_answered_filled_and_to_be_reviewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    boxes = new_detector(tmp_path, [{"name": THING}]).answer(BODY)
    function = new_detector(tmp_path, [{"name": THING, "type": kind}], PROMPTABLE_REVIEW_THRESHOLD="0")
    give(np.zeros((384, 384), bool), monkeypatch)
    items = function.answer(BODY)
    assert len(items) == len(boxes) > 1
    for item, box in zip(items, boxes, strict=True):
        check_filled(item, np.array(box["points"]))
    assert "empty masks on picture" in function.log.getvalue()


@pytest.mark.parametrize("hw", [(1, 5000), (5000, 1)])
def test_a_picture_that_sam_cannot_take_is_answered_in_boxes(tmp_path: Path, hw: tuple[int, int]) -> None:
    body = {"image": png_base64(np.full((*hw, 3), 128, np.uint8)), "threshold": 0.0001}
    boxes = new_detector(tmp_path, [{"name": THING}], PROMPTABLE_MAX_BOX_AREA="1").answer(body)
    function = new_detector(tmp_path, [{"name": THING, "type": "mask"}], PROMPTABLE_MAX_BOX_AREA="1")
    items = function.answer(body)
    assert len(items) == len(boxes) > 0
    for item, box in zip(items, boxes, strict=True):
        check_filled(item, np.array(box["points"]))
    assert "too narrow for the model" in function.log.getvalue()


def check_filled(item: dict[str, Any], xyxy: NDArray[np.float64]) -> None:
    """All pixels that the box touches, and to be reviewed."""
    (left, top), (right, bottom) = np.floor(xyxy[:2]).astype(int).tolist(), np.ceil(xyxy[2:]).astype(int).tolist()
    assert item["points"] == [left, top, right, top, right, bottom, left, bottom]
    if item["type"] == "mask":
        assert item["mask"] == [1] * (right - left) * (bottom - top) + [left, top, right - 1, bottom - 1]
    assert {"name": "review", "value": "true"} in item["attributes"]


def test_masks_that_are_not_finite_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = new_detector(tmp_path, [{"name": THING, "type": "mask"}])
    nothing = torch.full((1, 1, 8, 8), torch.nan), torch.zeros(1, 1)
    monkeypatch.setattr(MaskDecoder, "forward", lambda *_, **__: nothing)
    assert function.post(BODY).status_code == 500


def give(mask: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SAM answer every box so."""
    one = Prediction(mask, 0.0, np.zeros((4, 4), np.float32))
    monkeypatch.setattr(SamSegmenter, "predict_boxes", lambda _, __, boxes: iter([one] * len(boxes)))


@pytest.mark.parametrize("kind", ["mask", "polygon"])
def test_what_sam_gives_outside_the_box_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    (box, *_) = (np.array(item["points"]) for item in new_detector(tmp_path, [{"name": THING}]).answer(BODY))
    function = new_detector(tmp_path, [{"name": THING, "type": kind}], PROMPTABLE_MAX_DETECTIONS="1")
    left, top, right, bottom = box.round().astype(int).tolist()
    thing, elsewhere = np.zeros((384, 384), bool), np.zeros((384, 384), bool)
    thing[top:bottom, left:right] = True
    elsewhere[:, (left + 150) % 300 :][:, :60] = True
    assert not elsewhere[top:bottom, left - 10 : right + 10].any()
    give(thing | elsewhere, monkeypatch)
    (item,) = function.answer(BODY)
    assert item["points"] == [left, top, left, bottom, right, bottom, right, top]
    if kind == "mask":
        assert item["mask"] == [1] * (right - left) * (bottom - top) + [left, top, right - 1, bottom - 1]
    give(elsewhere, monkeypatch)
    (item,) = function.answer(BODY)
    check_filled(item, box)


def test_masks_are_cleaned_as_the_interactors_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [{"name": THING, "type": "mask"}]
    (box, *_) = (np.array(item["points"]) for item in new_detector(tmp_path, [{"name": THING}]).answer(BODY))
    left, top, right, bottom = box.round().astype(int).tolist()
    ring = np.zeros((384, 384), bool)
    ring[top:bottom, left:right] = True
    ring[top + 5 : top + 7, left + 5 : left + 7] = False
    give(ring, monkeypatch)
    one = {"PROMPTABLE_MAX_DETECTIONS": "1"}
    (open_item,) = new_detector(tmp_path, entries, **one).answer(BODY)
    (filled,) = new_detector(tmp_path, entries, PROMPTABLE_FILL_HOLES="4", **one).answer(BODY)
    assert sum(filled["mask"][:-4]) == sum(open_item["mask"][:-4]) + 4


def test_many_masks_are_decoded_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder holds the picture's features for each."""
    counts: list[int] = []
    plain: Callable[..., Iterator[Prediction]] = SamSegmenter.predict_boxes

    def predict(self: SamSegmenter, features: ImageFeatures, boxes: NDArray[np.float32]) -> Iterator[Prediction]:
        counts.append(len(boxes))
        return plain(self, features, boxes)

    monkeypatch.setattr(SamSegmenter, "predict_boxes", predict)
    function = new_detector(tmp_path, [{"name": THING, "type": "mask"}], PROMPTABLE_NMS_IOU="1", **TILES)
    items = function.answer(BODY | {"threshold": 0.0})
    assert len(items) == sum(counts) > 64
    assert max(counts) == 32


def test_a_mask_of_the_whole_picture_is_dropped_before_the_next_but_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[NDArray[np.bool_]]] = []
    most = 0
    plain: Callable[..., Iterator[Prediction]] = SamSegmenter.predict_boxes

    def predict(*given: Any) -> Iterator[Prediction]:
        nonlocal most
        for prediction in plain(*given):
            alive[:] = [mask for mask in alive if mask() is not None]
            alive.append(weakref.ref(prediction.mask))
            most = max(most, len(alive))
            yield prediction

    monkeypatch.setattr(SamSegmenter, "predict_boxes", predict)
    items = new_detector(tmp_path, [{"name": THING, "type": "mask"}]).answer(BODY | {"threshold": 0.0})
    assert len(items) > 4
    assert most == 2


def test_a_picture_gets_no_more_tiles_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = new_detector(tmp_path, [{"name": THING}], PROMPTABLE_TILE_SIZE="64", PROMPTABLE_MAX_TILES="9")
    tried = allow_encodings_of(10**9, monkeypatch)
    function.answer(BODY)
    assert len(tried) == 10, "and the whole picture"
    (side,) = {side for side, _ in tried} - {384}
    assert 154 <= side <= 162, "hardly larger than nine tiles must be"
    assert "enlarged from" in function.log.getvalue()


def test_another_error_is_not_taken_for_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function: Function = new_detector(tmp_path, [{"name": THING}, FAILED], PROMPTABLE_ON_FAILURE="tag")

    def wrong(*_: object) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(GroundingDINO, "_encode_image", wrong)
    assert function.post(BODY).status_code == 500


def test_numbers_that_are_not_finite_are_an_error_and_no_empty_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose every frame came back empty would look like a run that found nothing."""
    function = new_detector(tmp_path, [{"name": THING}, FAILED], PROMPTABLE_ON_FAILURE="tag")
    monkeypatch.setattr(grounding_dino, "span_scores", lambda logits, _: torch.full((len(logits), 1), torch.nan))
    assert function.post(BODY).status_code == 500
    assert "NaN or infinite" in function.log.getvalue()
