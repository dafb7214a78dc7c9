"""Which numbers a model computes with."""

import numpy as np
import pytest
import torch

from demo.metrics import mask_iou
from promptable.models.load import load_segmenter
from promptable.models.runtime.device import autocast
from promptable.models.segmentation.segmenter import Prompt
from tests.functions.conftest import TOY
from toy.scenes import scene


@pytest.mark.parametrize(
    ("precision", "expected"), [("auto", torch.float32), ("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_cpu_computes_in_float32_unless_told_otherwise(precision: str, expected: torch.dtype) -> None:
    with autocast("cpu", precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is expected


@pytest.mark.parametrize(("precision", "expected"), [("auto", True), ("fp32", False), ("bf16", True)])
def test_a_gpu_computes_in_bfloat16_unless_told_otherwise(
    precision: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, object] = {}
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype, enabled: made.update({kind: (dtype, enabled)}))
    autocast("cuda:1", precision)
    assert made == {"cuda": (torch.bfloat16, expected)}


@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_bfloat16_gives_nearly_the_masks_of_float32(model: str) -> None:
    drawn = scene(3)
    box = Prompt(box_xyxy=drawn.objects[-1].xyxy)
    answers = []
    for precision in ("fp32", "bf16"):
        segmenter = load_segmenter(str(TOY / model), TOY, "cpu", precision)
        answers.append(segmenter.predict(segmenter.encode_image(drawn.image), box))
    exact, rounded = answers
    assert not np.array_equal(exact.low_res_logits, rounded.low_res_logits)
    assert mask_iou(exact.mask, rounded.mask) > 0.95
