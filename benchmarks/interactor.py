"""Clicks on a picture: the function against decode, ``set_image``, ``predict`` and a full-mask JSON at every click.

All ways answer the same requests in turn: on each of three pictures, or of fewer where they are slow, a first click
and one more. Upstream too gets the logits of its last answer, as its notebook shows, so that the later answers can be
compared.

The models have the real sizes and random weights: the time does not depend on what the weights know. Nor do the masks
mean anything: they are noise with edges everywhere, on which rounding shows more than on a real object. They are
compared where that is hardest, with the logits cut at their median so that half the picture is mask.

It runs on the GPU if there is one: upstream in float32, the function in its default precision.
"""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import machine
from benchmarks.click_models import ours, random_model, upstream
from benchmarks.click_requests import body
from benchmarks.measure import Measurement, Row
from benchmarks.turns import Timed, in_turn, paired
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
_CLICKS = ((0.5, 0.5), (0.2, 0.3))
_PICTURES = 3
Logits: TypeAlias = NDArray[np.float32]
"""Low-res, float32 [h, w]."""
Click: TypeAlias = Callable[[bytes], Logits]


def measurements(quick: bool) -> list[Measurement]:
    """First and later clicks, model by model; ``quick``: SAM 2.1 tiny at 1080p."""
    return [
        _measurement(model, size, machine.precisions(quick or (model, size) not in _IN_FP32_TOO))
        for model, size in (_QUICK if quick else _ALL)
    ]


def _measurement(model: str, size: str, precisions: Sequence[str]) -> Measurement:
    return Measurement(f"{model}, {size}", partial(_compared, model, size, precisions), rows=2 * len(precisions))


def _compared(model: str, size: str, precisions: Sequence[str]) -> Iterator[Row]:
    ways = {"plain": partial(plain_clicks, model, size)} | {
        precision: partial(our_clicks, model, size, precision) for precision in precisions
    }
    with in_turn(ways) as click:
        clicks = click(requests(size), at_least=2)
    for precision in precisions:
        what = f"{model}, {size}, {device.resolve('auto')} {precision}"
        yield _row(f"{what}, first click", first(clicks["plain"]), first(clicks[precision]))
        yield _row(f"{what}, later clicks", later(clicks["plain"]), later(clicks[precision]))


def _row(what: str, plain: Sequence[Timed[Logits]], ours: Sequence[Timed[Logits]]) -> Row:
    memory = {"plain MB": plain[-1].peak_megabytes, "our MB": ours[-1].peak_megabytes}
    return paired(what, plain, ours, agreement(plain, ours) | memory)


def requests(size: str, pictures: int = _PICTURES) -> list[bytes]:
    """A first click on a new picture and one more on it, picture by picture."""
    return [body(size, *_CLICKS[:count], seed=seed) for seed in range(pictures) for count in (1, 2)]


def first(clicks: Sequence[Timed[Logits]]) -> Sequence[Timed[Logits]]:
    """Of the answers to ``requests`` those to first clicks."""
    return clicks[::2]


def later(clicks: Sequence[Timed[Logits]]) -> Sequence[Timed[Logits]]:
    """Those to later clicks."""
    return clicks[1::2]


def agreement(plain: Sequence[Timed[Logits]], ours: Sequence[Timed[Logits]]) -> dict[str, float]:
    """Median IoU of the masks that the logits are, cut at the plain ones' median; median largest error, in deviations.

    Of random weights' three masks for a click two may be rated alike, and rounding then decides which is answered.
    """
    pairs = [(one.result, other.result) for one, other in zip(plain, ours, strict=True)]
    overlaps = [mask_iou(one > np.median(one), other > np.median(one)) for one, other in pairs]
    errors = [np.abs(one - other).max() / one.std() for one, other in pairs]
    return {"mask IoU": float(np.median(overlaps)), "logit error": float(np.median(errors))}


def plain_clicks(model: str, size: str, precision: str = "fp32") -> Click:
    """What a handler written straight from upstream's README does: the same work at every click."""
    predictor = upstream(random_model(model).to(device.resolve("auto")))
    before: list[Logits] = []

    def click(text: bytes) -> Logits:
        before.append(_plain_click(predictor, json.loads(text), before, precision))
        return before[-1]

    return _warm(click, size)


def _warm(click: Click, size: str) -> Click:
    """Called on a picture of the other size."""
    click(body("4K" if size == "1080p" else "1080p", _CLICKS[0]))
    return click


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


def our_clicks(model: str, size: str, precision: str = "", cuda_graphs: bool = False) -> Click:
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

    return _warm(click, size)


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
