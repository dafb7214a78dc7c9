"""The frame of the tracker's benchmark: the model, the objects, and the function that remembers them."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sam2.modeling.sam2_base import SAM2Base

from benchmarks import machine
from benchmarks.click_models import random_model
from promptable.config.settings import TrackerSettings
from promptable.models.runtime import device
from promptable.models.sam2.memory import MemoryFeatures
from promptable.models.sam2.memory_rules import RULES
from promptable.models.sam2.object_results import ObjectResult
from promptable.models.sam2.track_memory import TrackMemory
from promptable.models.sam2.video_prompts import MaskPrompt
from promptable.models.sam2.video_tracker import VideoTracker, prepare_for_video
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.mask_boxes import mask_boxes, read_boxes
from promptable.serving.tracker.entries import MemoryEntry
from promptable.serving.tracker.function import TrackerFunction
from promptable.serving.tracker.stored_memories import Names, StoredMemories
from promptable.store.entry_store import InProcessStore
from promptable.wire.masks import rle_to_mask
from promptable.wire.shapes import ShapeType
from promptable.wire.state import TrackState, write_state
from toy.scenes import scene

HW = (1080, 1920)
LATEST = 16
"""The last step that is remembered: with the first there are as many as ever count."""

Masks = list[NDArray[np.bool_]]


@dataclass(frozen=True)
class Function:
    """The tracker function, and the parts that it is made of."""

    model: VideoTracker
    memory: StoredMemories
    answer: TrackerFunction


def model(name: str) -> SAM2Base:
    """The architecture of an official name with random weights, to which every object is always there."""
    built: SAM2Base = random_model(name)
    with torch.no_grad():
        built.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(10)
    return built


@cache
def jpeg(number: int) -> bytes:
    """A frame as the bytes of a file."""
    buffer = BytesIO()
    Image.fromarray(scene(number, size=HW[1]).image[: HW[0]]).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def picture(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a file, uint8 RGB [H, W, 3]."""
    return np.array(Image.open(BytesIO(data)).convert("RGB"))


@cache
def discs(count: int) -> Masks:
    """The objects of the first frame, drawn once: not while a frame is timed."""
    rows, columns = np.ogrid[: HW[0], : HW[1]]
    centres = [(150 + 260 * (i // 5), 200 + 380 * (i % 5)) for i in range(count)]
    return [np.hypot(rows - y, columns - x) < 60 + 5 * i for i, (y, x) in enumerate(centres)]


def function(
    name: str, memory: TrackMemory = TrackMemory.ALL, precision: str = "", cuda_graphs: bool = False
) -> Function:
    """The function as it is loaded, without a cache of image features.

    ``precision`` is that of ``auto`` unless another is named.
    """
    precision = precision or machine.precision()
    built = model(name).to(device.resolve("auto"))
    prepare_for_video(built, precision)
    tracker = VideoTracker(built, "0" * 16, precision, RULES[memory], cuda_graphs)
    store: InProcessStore[MemoryEntry] = InProcessStore(2**34)
    return Function(
        tracker, StoredMemories(tracker, store), TrackerFunction(tracker, store, TrackerSettings(feature_cache_mb=0))
    )


def continuing(function: Function, count: int) -> bytes:
    """The request for one more frame of objects whose memory is full."""
    first = function.model.encode_image(picture(jpeg(0)))
    results = function.model.start(first, [MaskPrompt(mask) for mask in discs(count)])
    states = [_state(function.model, 0, names) for names in function.memory.start([each.memory for each in results])]
    for step in range(1, LATEST + 1):
        taken = step % 6 == 4  # three of them, which is all that a distractor memory holds
        memories = [replace(each.memory, step=step, conditioning=False, distractor=taken) for each in results]
        remembered = [kept for kept in function.memory.read(states) if kept is not None]
        states = [
            _state(function.model, step, names) for names in function.memory.advance(states, remembered, memories)
        ]
    image = base64.b64encode(jpeg(1)).decode()
    return json.dumps({"image": image, "shapes": [None] * count, "states": [*map(write_state, states)]}).encode()


def found(function: Function, count: int) -> tuple[ImageFeatures, list[ObjectResult]]:
    """The features of the frame of ``continuing``, and results for it: the discs, as if the model had found them."""
    features = function.model.encode_image(picture(jpeg(1)))
    started = function.model.start(features, [MaskPrompt(mask) for mask in discs(count)], [LATEST + 1] * count)
    return features, [
        replace(result, memory=replace(result.memory, conditioning=False), **answer)
        for result, answer in zip(started, _answers(count), strict=True)
    ]


def _state(tracker: VideoTracker, step: int, names: Names) -> TrackState:
    return TrackState(tracker.fingerprint, ShapeType.MASK, False, step, names)


@contextmanager
def answering_discs(model: VideoTracker, count: int) -> Iterator[Masks]:
    """Inside, discs stand for what the model finds: random weights find noise, whose run lengths no real mask has.

    Yields what it does find.
    """
    original, answers, found = model.step, _answers(count), Masks()

    def step(*arguments: Any) -> list[ObjectResult]:
        results = original(*arguments)
        found.extend(result.mask for result in results)
        return [replace(result, **answer) for result, answer in zip(results, answers, strict=True)]

    with patch.object(model, "step", step):
        yield found


@cache
def _answers(count: int) -> Sequence[Mapping[str, Any]]:
    """The discs and their boxes, in place of a result's own."""
    boxes = read_boxes(mask_boxes(torch.from_numpy(np.stack(discs(count)))))
    return [{"mask": mask, "xyxy": box} for mask, box in zip(discs(count), boxes, strict=True)]


def masks_of(answer: str) -> Masks:
    """The masks that a tracker answers."""
    shapes = json.loads(answer)["shapes"]
    return [
        np.zeros(HW, bool) if not shape or not shape["points"] else rle_to_mask(shape["points"], HW) for shape in shapes
    ]


def sizes(function: Function) -> tuple[int, int]:
    """Bytes of one object's state, and of what one step of it adds to the store."""
    state = json.loads(continuing(function, 1))["states"][0]
    (result,) = function.model.start(function.model.encode_image(picture(jpeg(0))), [MaskPrompt(discs(1)[0])])
    features = result.memory.features
    stored = len(result.memory.pointer_bytes()) + (0 if features is None else len(MemoryFeatures(features).to_bytes()))
    return len(json.dumps(state)), stored
