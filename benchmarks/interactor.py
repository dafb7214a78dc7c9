"""Clicks on a picture: the function against decode, ``set_image``, ``predict`` and a full-mask JSON at every click.

Both ways answer the same requests: a first click on a new picture, on which then comes one click more each time, three
times, and a first click on each of two more. Upstream too gets the logits of its last answer, as its notebook shows, so
that the later answers can be compared. Seconds are medians of three, or of fewer that are slow.

The models have the real sizes and random weights: the time does not depend on what the weights know. Nor do the masks
mean anything: they are noise with edges everywhere, on which rounding shows more than on a real object. They are
compared where that is hardest, with the logits cut at their median so that half the picture is mask.

It runs on the GPU if there is one: upstream in float32, the function in its default precision.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import machine
from benchmarks.click_models import ours, random_model, upstream
from benchmarks.click_requests import body
from benchmarks.measure import Measurement, Row, beside, in_fresh_process, is_enough, peak_megabytes, timed_each
from promptable.config.settings import InteractorSettings
from promptable.models.runtime import device
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.runtime.precision import autocast
from promptable.models.segmentation.extent import Extent
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction, Prompt, Segmenter
from promptable.serving.interactor.function import InteractorFunction
from promptable.serving.interactor.warm_up import warm_up
from toy.metrics import mask_iou

_QUICK = (("sam2.1-tiny", "1080p"),)
_ALL = (*_QUICK, ("vit_b", "1080p"), ("sam2.1-tiny", "4K"), ("vit_b", "4K"))
"""Larger models are in ``benchmarks.large``."""
_IN_FP32_TOO = _ALL[:2]
_CLICKS = ((0.5, 0.5), (0.2, 0.3), (0.7, 0.6), (0.4, 0.8))
_PICTURES = 3
Logits = NDArray[np.float32]
"""Low-res, float32 [h, w]."""


@dataclass(frozen=True)
class Clicks:
    """Median seconds of a first click and of a later one, and the logits of the first of each kind."""

    first_seconds: float
    first_logits: Logits
    later_seconds: float
    later_logits: Logits
    peak_megabytes: float


def measurements(quick: bool) -> list[Measurement]:
    """First and later clicks, model by model; ``quick``: SAM 2.1 tiny at 1080p."""
    cases = [
        (*case, precision)
        for case in (_QUICK if quick else _ALL)
        for precision in machine.precisions(quick or case not in _IN_FP32_TOO)
    ]
    return [Measurement(", ".join(case), partial(_compared, *case), rows=2) for case in cases]


@cache
def _plain(model: str, size: str) -> Clicks:
    return in_fresh_process(plain_clicks, model, size)


def _compared(model: str, size: str, precision: str) -> list[Row]:
    plain, ours = _plain(model, size), in_fresh_process(our_clicks, model, size, precision)
    what = f"{model}, {size}, {device.resolve('auto')} {precision}"
    first = agreement(plain.first_logits, ours.first_logits)
    later = agreement(plain.later_logits, ours.later_logits)
    memory = {"plain MB": plain.peak_megabytes, "our MB": ours.peak_megabytes}
    return [
        beside(f"{what}, first click", plain.first_seconds, ours.first_seconds, first),
        beside(f"{what}, later clicks", plain.later_seconds, ours.later_seconds, later | memory),
    ]


def agreement(plain: Logits, fast: Logits) -> dict[str, float]:
    """IoU of the masks that the logits are, cut at the plain ones' median, and the largest error, in deviations."""
    cut = float(np.median(plain))
    error = float(np.abs(plain - fast).max()) / float(plain.std())
    return {"mask IoU": mask_iou(plain > cut, fast > cut), "logit error": error}


def _clicked(click: Callable[[bytes], Logits], size: str) -> Clicks:
    """Answer all requests, warm: one click on a picture of the other size comes before."""
    click(body("4K" if size == "1080p" else "1080p", _CLICKS[0]))
    picture, *others = [body(size, _CLICKS[0], seed=seed) for seed in range(_PICTURES)]
    further = [body(size, *_CLICKS[:count]) for count in range(2, len(_CLICKS) + 1)]
    first, first_logits = timed_each(click, [picture])
    later, later_logits = timed_each(click, further)
    if not is_enough(first):
        first += timed_each(click, others)[0]
    return Clicks(median(first), first_logits[0], median(later), later_logits[0], peak_megabytes())


def plain_clicks(model: str, size: str, precision: str = "fp32") -> Clicks:
    """What a handler written straight from upstream's README does: the same work at every click."""
    predictor = upstream(random_model(model).to(device.resolve("auto")))
    before: list[Logits] = []

    def click(text: bytes) -> Logits:
        before.append(_plain_click(predictor, json.loads(text), before, precision))
        return before[-1]

    return _clicked(click, size)


def _plain_click(predictor: Any, request: dict[str, Any], before: Sequence[Logits], precision: str) -> Logits:
    """SAM's predictor fails where its decoder answers bfloat16: the encoder alone runs under autocast."""
    image = np.array(Image.open(BytesIO(base64.b64decode(request["image"]))).convert("RGB"))
    points = np.array(request["pos_points"])
    is_first = len(points) == 1
    with torch.inference_mode():
        with autocast(device.resolve("auto"), precision):
            predictor.set_image(image)
        masks, scores, logits = predictor.predict(
            points,
            np.ones(len(points)),
            mask_input=None if is_first else before[-1][None],
            multimask_output=is_first,
        )
    best = int(scores.argmax())
    json.dumps({"mask": masks[best].astype(int).tolist()})
    return np.asarray(logits[best], np.float32)


def our_clicks(model: str, size: str, precision: str = "", cuda_graphs: bool = False) -> Clicks:
    """The function, warm as it is after ``init_context``; ``precision`` is that of ``auto`` unless another is named.

    It answers a disc: the run lengths of noise, which random weights find, are a hundred times those of a real mask.
    """
    keep_freed_memory()
    built = random_model(model).to(device.resolve("auto"))
    segmenter = _Recording(ours(built, precision or machine.precision(), cuda_graphs))
    warm_up(segmenter, len(_CLICKS) if cuda_graphs else 1)
    function = InteractorFunction(segmenter, InteractorSettings())

    def click(text: bytes) -> Logits:
        function(text)
        return segmenter.last.low_res_logits

    return _clicked(click, size)


class _Recording:
    """A segmenter that keeps its last prediction, and answers a disc."""

    last: Prediction

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self.encode_image = segmenter.encode_image
        self.predict_boxes = segmenter.predict_boxes

    def predict(self, features: ImageFeatures, prompt: Prompt, extent: Extent = Extent.BEST) -> Prediction:
        self.last = self._segmenter.predict(features, prompt, extent)
        return replace(self.last, mask=_disc(features.hw))


@cache
def _disc(hw: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: hw[0], : hw[1]]
    return np.asarray(np.hypot(rows - hw[0] / 2, columns - hw[1] / 2) < min(hw) / 4)
