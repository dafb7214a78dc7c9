"""Where the time of a click goes, stage by stage, but for the image encoder, which ``benchmarks.interactor`` measures.

SAM's encoder is one small block here; all else has its real size. Both ways of a stage run in one process, whose
memory is kept as the function keeps it. The mask that is answered is one large object with a wavy edge, as real ones
are; those of random weights are noise.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from io import BytesIO
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from benchmarks.click_models import Model, ours, random_model, random_sam, upstream
from benchmarks.click_requests import SIZES, body
from benchmarks.measure import Measurement, Row, beside, in_fresh_process, timed
from promptable.models.runtime.memory import keep_freed_memory
from promptable.models.sam.build import PRESETS
from promptable.models.segmentation.segmenter import Prompt
from promptable.wire.answer_form import AnswerForm
from promptable.wire.fields import read_object
from promptable.wire.images.encoded import parse_image
from promptable.wire.interactor import ScoredMask, encode
from promptable.wire.masks import rle_to_mask
from toy.metrics import mask_iou

_REPEATS = 9
_CLICK_AT = (0.5, 0.5)
_CLICK = Prompt(np.array([[500.0, 400.0]], np.float32), np.ones(1, np.int32))

_MODELS: Mapping[str, Callable[[], Model]] = {
    "SAM": lambda: random_sam(replace(PRESETS["vit_b"], encoder_embed_dim=32, encoder_depth=1, encoder_num_heads=2)),
    "SAM 2.1 tiny": lambda: random_model("sam2.1-tiny"),
}


def measurements(quick: bool) -> list[Measurement]:
    """Every stage at 1080p and, unless ``quick``, at 4K."""
    return [each for size in (["1080p"] if quick else SIZES) for each in _stages(size)]


def _stages(size: str) -> list[Measurement]:
    models = ("SAM", "SAM 2.1 tiny")
    return [
        Measurement(f"{size}, reading", partial(_measured, _reading, size), rows=3),
        *(
            Measurement(f"{size}, {model}", partial(_measured, _around_the_model, size, model), rows=3)
            for model in models
        ),
        Measurement(f"{size}, answering", partial(_measured, _answering, size), rows=len(AnswerForm)),
        Measurement(f"{size}, sums", lambda: [_sum(size, model) for model in models], rows=len(models)),
    ]


@cache
def _measured(stage: Callable[..., list[Row]], *arguments: str) -> list[Row]:
    return in_fresh_process(stage, *arguments)


def _sum(size: str, model: str) -> Row:
    resize, _, enlarge = _measured(_around_the_model, size, model)
    rows = [*_measured(_reading, size), resize, enlarge, _measured(_answering, size)[0]]
    plain, ours = (sum(row.figures[way] for row in rows) for way in ("plain s", "ours s"))
    return beside(f"{size}, {model}, first click without the networks", plain, ours)


def _reading(size: str) -> list[Row]:
    """From the request's text to pixels."""
    keep_freed_memory()
    text = body(size, _CLICK_AT)
    fields = read_object(text)
    image = parse_image(fields)
    return [
        _row(f"{size}, JSON", lambda: json.loads(text), lambda: read_object(text)),
        _row(f"{size}, base64, ours with digest", lambda: _plain_base64(fields), lambda: parse_image(fields).digest),
        _row(f"{size}, decode", lambda: _plain_decode(image.data), lambda: image.decode(100)),
    ]


def _plain_base64(fields: dict[str, object]) -> bytes:
    return base64.b64decode(str(fields["image"]))


def _plain_decode(data: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(BytesIO(data)).convert("RGB"))


@torch.inference_mode()
def _around_the_model(size: str, name: str) -> list[Row]:
    """From pixels to the encoder's input, and from the prompt to the full mask, upstream's way and ours."""
    keep_freed_memory()
    what, model = f"{size}, {name}", _MODELS[name]()
    image = parse_image(read_object(body(size, _CLICK_AT))).decode(100)
    heads = [part for name, part in model.named_children() if name.endswith(("prompt_encoder", "mask_decoder"))]
    predictor = upstream(model)
    plain_resize, _ = _split(lambda: predictor.set_image(image), _encoder(model), repeats=3)
    plain_mask, plain_heads = _split(lambda: predictor.predict(_CLICK.points_xy, _CLICK.labels), heads, _REPEATS)
    segmenter = ours(model)
    features = segmenter.encode_image(image)
    resize, _ = _split(lambda: segmenter.encode_image(image), _encoder(model), repeats=3)
    mask, our_heads = _split(lambda: segmenter.predict(features, _CLICK), heads, _REPEATS)
    return [
        beside(f"{what}, resize and normalise", plain_resize, resize),
        beside(f"{what}, networks of the mask", plain_heads, our_heads),
        beside(f"{what}, mask to full size", plain_mask, mask),
    ]


def _encoder(model: Model) -> list[nn.Module]:
    """The parts that encode a picture, which are others once they are the function's."""
    return [part for name, part in model.named_modules() if name.endswith(("image_encoder", "conv_s0", "conv_s1"))]


def _split(call: Callable[[], object], networks: Sequence[nn.Module], repeats: int) -> tuple[float, float]:
    """Median seconds of a call outside and inside of these networks."""
    watch = _Watch()
    hooks = [network.register_forward_pre_hook(watch.start) for network in networks]
    hooks += [network.register_forward_hook(watch.stop) for network in networks]
    outside, inside = [], []
    for _ in range(repeats):
        watch.seconds = 0.0
        total, _ = timed(call, repeats=1)
        outside.append(total - watch.seconds)
        inside.append(watch.seconds)
    for hook in hooks:
        hook.remove()
    return median(outside), median(inside)


class _Watch:
    """Adds up the time in networks that do not contain one another."""

    seconds = 0.0

    def start(self, *_: object) -> None:
        self._started = perf_counter()

    def stop(self, *_: object) -> None:
        self.seconds += perf_counter() - self._started


def _answering(size: str) -> list[Row]:
    """From the mask to the answer's text, in both forms."""
    keep_freed_memory()
    mask = _large_object(SIZES[size])
    found, hw = [ScoredMask(mask, 0.9)], SIZES[size]
    plain, text = timed(lambda: json.dumps({"mask": mask.astype(int).tolist()}), repeats=3)
    rows = []
    for form in AnswerForm:
        seconds, answer = timed(partial(encode, found, hw, form, tolerance=1.0), _REPEATS)
        agreement = {"plain KB": len(text) / 1e3, "our KB": len(answer) / 1e3, "mask IoU": _iou(answer, mask)}
        rows.append(beside(f"{size}, answer as {form}", plain, seconds, agreement))
    return rows


def _large_object(hw: tuple[int, int]) -> NDArray[np.bool_]:
    """A third of the picture, its edge rough as that of fur or leaves."""
    height, width = hw
    angles = np.linspace(0, 2 * np.pi, height, endpoint=False)
    radius = height * (0.42 + 0.05 * np.sin(7 * angles) + np.random.default_rng(0).normal(0, 0.002, height))
    outline = np.stack([width / 2 + 1.3 * radius * np.cos(angles), height / 2 + radius * np.sin(angles)], 1)
    return np.asarray(cv2.fillPoly(np.zeros(hw, np.uint8), [outline.astype(np.int32)], 1), np.bool_)


def _iou(answer: str, mask: NDArray[np.bool_]) -> float:
    read = json.loads(answer)
    if "mask" in read:
        return mask_iou(np.array(read["mask"], bool), mask)
    return mask_iou(rle_to_mask(read["shapes"][0]["points"], (mask.shape[0], mask.shape[1])), mask)


def _row(what: str, plain: Callable[[], object], fast: Callable[[], object]) -> Row:
    return beside(what, timed(plain, _REPEATS)[0], timed(fast, _REPEATS)[0])
