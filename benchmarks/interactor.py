"""A click on a picture: the function against decode, ``set_image``, ``predict`` and a full-mask JSON at every click.

The models have the real sizes and random weights: the time does not depend on what the weights know. Nor do the masks
mean anything: they are noise with edges everywhere, on which rounding shows more than on a real object. They are
compared where that is hardest, with the logits cut at their median so that half the picture is mask.

It runs on the GPU if there is one: upstream in float32, the function in its default precision.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.click_models import ours, random_model, upstream
from benchmarks.click_requests import body
from benchmarks.measure import Row, in_fresh_process, peak_megabytes, report, timed
from demo.metrics import mask_iou
from promptable.models import device
from promptable.models.cpu import keep_freed_memory
from promptable.models.extent import Extent
from promptable.models.segmenter import ImageFeatures, Prediction, Prompt, Segmenter
from promptable.serving.interactor import Interactor
from promptable.serving.settings import InteractorSettings

_QUICK = (("vit_b", "1080p"), ("sam2.1-tiny", "1080p"))
_ALL = (*_QUICK, ("vit_b", "4K"), ("sam2.1-tiny", "4K"), ("vit_h", "1080p"), ("sam2.1-large", "1080p"))
_FIRST, _LATER = (0.5, 0.5), (0.2, 0.3)
_LATER_REPEATS = 9
T = TypeVar("T")


@dataclass(frozen=True)
class Clicks:
    """Seconds of the first click on a picture and of a later one, and the later one's low-res logits [h, w]."""

    first_seconds: float
    later_seconds: float
    logits: NDArray[np.float32]
    peak_megabytes: float


def run(quick: bool) -> None:
    """Measure the first and a later click, model by model, each way in a process of its own."""
    rows = [row for model, size in (_QUICK if quick else _ALL) for row in _compared(model, size)]
    report("interactor", rows)


def _compared(model: str, size: str) -> list[Row]:
    plain, fast = in_fresh_process(_plain, model, size), in_fresh_process(_ours, model, size)
    cut, spread = float(np.median(plain.logits)), float(plain.logits.std())
    agreement = {
        "mask IoU": mask_iou(plain.logits > cut, fast.logits > cut),
        "logit error": float(np.abs(plain.logits - fast.logits).max()) / spread,
    }
    memory = {"plain MB": plain.peak_megabytes, "our MB": fast.peak_megabytes}
    where = device.resolve("auto")
    return [
        Row(f"{model}, {size}, {where}, first click", plain.first_seconds, fast.first_seconds, agreement),
        Row(f"{model}, {size}, {where}, later clicks", plain.later_seconds, fast.later_seconds, memory),
    ]


def _plain(model: str, size: str) -> Clicks:
    """What a handler written straight from upstream's README does: the same work at every click."""
    predictor = upstream(random_model(model).to(device.resolve("auto")))
    requests = [body(size, *_FIRST, seed=1), body(size, *_LATER)]
    seconds, logits = _quickest(lambda request: _plain_click(predictor, request), requests)
    return Clicks(seconds, seconds, logits, peak_megabytes())


def _quickest(click: Callable[[bytes], T], requests: Sequence[bytes]) -> tuple[float, T]:
    """Seconds of the quickest, since other work on the machine only ever makes one slower; and the last answer."""
    measured = [timed(lambda request=request: click(request), repeats=1) for request in requests]
    return min(seconds for seconds, _ in measured), measured[-1][1]


def _plain_click(predictor: Any, text: bytes) -> NDArray[np.float32]:
    request = json.loads(text)
    image = np.array(Image.open(BytesIO(base64.b64decode(request["image"]))).convert("RGB"))
    with torch.inference_mode():
        predictor.set_image(image)
        points = np.array(request["pos_points"])
        masks, scores, logits = predictor.predict(points, np.ones(len(points)), multimask_output=True)
    best = int(scores.argmax())
    json.dumps({"mask": masks[best].astype(int).tolist()})
    return np.asarray(logits[best], np.float32)


def _ours(model: str, size: str) -> Clicks:
    """The function, warm as it is after ``init_context``."""
    keep_freed_memory()
    segmenter = _Recording(ours(random_model(model).to(device.resolve("auto")), "auto"))
    function = Interactor(segmenter, InteractorSettings())
    warm = "4K" if size == "1080p" else "1080p"
    function(body(warm, *_FIRST))
    first, _ = _quickest(function, [body(size, *_FIRST, seed=1), body(size, *_FIRST)])
    later, _ = _quickest(function, [body(size, *_LATER)] * _LATER_REPEATS)
    return Clicks(first, later, segmenter.last.low_res_logits, peak_megabytes())


class _Recording:
    """A segmenter that keeps its last prediction."""

    last: Prediction

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self.encode_image = segmenter.encode_image
        self.predict_boxes = segmenter.predict_boxes

    def predict(self, features: ImageFeatures, prompt: Prompt, extent: Extent = Extent.BEST) -> Prediction:
        self.last = self._segmenter.predict(features, prompt, extent)
        return self.last
