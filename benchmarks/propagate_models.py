"""Trackers of the real size that the benchmark of ``propagate`` asks: ours, and one request an object and frame.

The latter is what a script does that goes through CVAT's interactive tracking: for each object and frame it sends the
picture, which upstream's ``SAM2VideoPredictor`` encodes, and then finds that one object.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import tracker_plain, tracker_scene
from promptable.models.runtime.memory import keep_freed_memory
from promptable.wire.masks import mask_to_rle, rle_to_mask

NAME = "sam2.1-tiny"
_MEAN, _STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
_OBJECTS = 5
"""As many as ``benchmarks.propagate`` draws."""
_LONG = 1000
"""Frames of upstream's video: a longer one has no other numbers."""

Answer = Callable[[Mapping[str, Any]], Any]


class Clock:
    """A function that notes when it answered, and how long it and its model took."""

    def __init__(self) -> None:
        self.answered: list[float] = []
        self.function: list[float] = []
        self.model: list[float] = []
        self._lock = Lock()
        self._in_model = 0.0

    def function_of(self, answer: Answer) -> Answer:
        def clocked(request: Mapping[str, Any]) -> Any:
            with self._lock:
                began, self._in_model = time.perf_counter(), 0.0
                answered = answer(request)
                self.answered.append(time.perf_counter())
                self.function.append(self.answered[-1] - began)
                self.model.append(self._in_model)
            return answered

        return clocked

    def time_model(self, call: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        result = call(*arguments)
        self._in_model += time.perf_counter() - began
        return result

    def as_json(self, _: Any) -> Mapping[str, list[float]]:
        return {"answered": self.answered, "function": self.function, "model": self.model}


def ours(clock: Clock) -> Answer:
    """The function as it is deployed, but for its weights."""
    function = _clocked(clock)
    return lambda request: json.loads(function.answer(request))


def ours_of_discs(clock: Clock) -> Answer:
    """The same, but for what is found: random weights answer noise, whose run lengths no real mask has."""
    function = _clocked(clock)

    def answer(request: Mapping[str, Any]) -> Any:
        with tracker_scene.answering_discs(function.model, _OBJECTS):
            return json.loads(function.answer(request))

    return answer


def _clocked(clock: Clock) -> tracker_scene.Function:
    """The function, whose model's calls are timed."""
    keep_freed_memory()
    function = tracker_scene.function(NAME)
    for name in ("encode_image", "start", "step"):
        setattr(function.model, name, partial(clock.time_model, getattr(function.model, name)))
    return function


def plain(clock: Clock) -> Answer:
    """One object a request. A state is the object's number; what is remembered stays in the process."""
    del clock
    predictor = tracker_plain.predictor(NAME)
    states: list[Any] = []

    def answer(request: Mapping[str, Any]) -> Any:
        if not request.get("states"):
            states.append(_begun(predictor))
            number, frame = len(states) - 1, 0
        else:
            number, frame = request["states"][0]
        state = states[number]
        state["images"] = {frame: _pixels(request["image"], predictor.image_size)}
        with tracker_plain.autocast(predictor.device):
            if not frame:
                mask = rle_to_mask(request["shapes"][0]["points"], tracker_scene.HW)
                predictor.add_new_mask(state, 0, 0, mask)
                predictor.propagate_in_video_preflight(state)
                return {"shapes": request["shapes"], "states": [[number, 1]]}
            ((_, _, logits),) = predictor.propagate_in_video(state, start_frame_idx=frame, max_frame_num_to_track=0)
        points = mask_to_rle((logits[0, 0] > 0).cpu().numpy()).tolist()
        return {"shapes": [{"type": "mask", "points": points}], "states": [[number, frame + 1]]}

    return answer


def _begun(predictor: Any) -> Any:
    """Upstream's state of a video whose frames come one by one."""
    with TemporaryDirectory() as folder:
        Image.new("RGB", tracker_scene.HW[::-1]).save(Path(folder) / "0.jpg")
        state = predictor.init_state(folder)
    state["cached_features"].clear()
    state["num_frames"] = _LONG
    return state


def _pixels(image: str, size: int) -> torch.Tensor:
    """As upstream's ``load_video_frames`` has them."""
    resized = Image.fromarray(tracker_scene.picture(base64.b64decode(image))).resize((size, size))
    return torch.from_numpy((np.array(resized, np.float32) / 255 - _MEAN) / _STD).permute(2, 0, 1)
