from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from promptable.models.segmentation.candidates import choose
from promptable.models.segmentation.extent import Extent
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prompt

POINT, POSITIVE = np.zeros((1, 2), np.float32), np.ones(1, np.int32)
BOX, LOGITS = np.zeros(4, np.float32), np.zeros((8, 8), np.float32)


@pytest.mark.parametrize(
    ("prompt", "ambiguous"),
    [
        (Prompt(POINT, POSITIVE), True),
        (Prompt(np.zeros((2, 2), np.float32), np.array([1, 0], np.int32)), False),
        (Prompt(POINT, POSITIVE, BOX), False),
        (Prompt(POINT, POSITIVE, mask_input=LOGITS), False),
        (Prompt(box_xyxy=BOX), False),
    ],
)
def test_only_one_lone_point_is_ambiguous(prompt: Prompt, ambiguous: bool) -> None:
    assert prompt.is_ambiguous is ambiguous


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected a point, a box or a mask input, got none"),
        ({"points_xy": POINT}, r"got \(1, 2\) and \(0,\)"),
        ({"points_xy": np.zeros((1, 3), np.float32), "labels": POSITIVE}, r"got \(1, 3\) and \(1,\)"),
        ({"points_xy": POINT, "labels": 2 * POSITIVE}, r"labels of 0 and 1, got \[2\]"),
        ({"box_xyxy": np.zeros((1, 4), np.float32)}, r"a box of \[4\], got \(1, 4\)"),
        ({"mask_input": np.zeros((1, 8, 8), np.float32)}, r"mask input of \[h, w\], got \(1, 8, 8\)"),
    ],
)
def test_prompts_without_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Prompt(**arguments)


def test_the_best_is_each_objects_own() -> None:
    logits = torch.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    scores = torch.tensor([[0.1, 0.9, 0.3], [0.2, -1.0, 0.4]])
    chosen, score = choose(logits, scores)
    assert chosen.shape == (2, 1, 2, 2)
    torch.testing.assert_close(chosen[:, 0], torch.stack([logits[0, 1], logits[1, 2]]))
    torch.testing.assert_close(score, torch.tensor([0.9, 0.4]))


@pytest.mark.parametrize(("extent", "expected"), [("best", 1), ("whole", 0), ("part", 3)])
def test_a_lone_click_means_the_best_the_whole_or_a_part(extent: str, expected: int) -> None:
    logits = torch.full((1, 4, 4, 4), -1.0)
    for number, side in enumerate((4, 3, 0, 2)):
        logits[0, number, :side, :side] = 1
    scores = torch.tensor([[0.5, 0.9, 0.6, 0.4]])
    chosen, score = choose(logits, scores, Extent(extent))
    torch.testing.assert_close(chosen[:, 0], logits[:, expected])
    assert score.tolist() == scores[:, expected].tolist()


def test_features_count_the_bytes_of_all_their_tensors() -> None:
    tensors = (torch.zeros(1, 4, 8, 8), torch.zeros(10, dtype=torch.bfloat16))
    assert ImageFeatures((64, 48), tensors).nbytes == 4 * 4 * 64 + 2 * 10


HW = (64, 48)
LIKE = ImageFeatures((9, 9), (torch.zeros(1, 4, 8, 8), torch.zeros(10, dtype=torch.bfloat16)))
GOOD = {"hw": torch.tensor(HW), "0": torch.randn(1, 4, 8, 8), "1": torch.randn(10).to(torch.bfloat16)}


def test_features_come_back_from_their_bytes() -> None:
    tensors = (torch.randn(1, 4, 8, 8).transpose(2, 3), torch.randn(10).to(torch.bfloat16))
    found = ImageFeatures.from_bytes(ImageFeatures(HW, tensors).to_bytes(), HW, LIKE)
    assert found.hw == HW
    assert [tensor.dtype for tensor in found.tensors] == [torch.float32, torch.bfloat16]
    assert all(torch.equal(*pair) for pair in zip(found.tensors, tensors, strict=True))


def test_features_come_back_in_the_layout_of_others() -> None:
    """A decoder is quicker with maps whose channels lie last."""
    last = torch.channels_last
    tensors = (torch.randn(1, 4, 8, 8), torch.zeros(10, dtype=torch.bfloat16))
    like = ImageFeatures((9, 9), (torch.zeros(1, 4, 8, 8).to(memory_format=last), tensors[1]))
    found, _ = ImageFeatures.from_bytes(ImageFeatures(HW, tensors).to_bytes(), HW, like).tensors
    assert found.is_contiguous(memory_format=last)
    assert torch.equal(found, tensors[0])


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_features_that_are_not_finite_have_no_bytes(wrong: float) -> None:
    features = ImageFeatures(HW, (torch.zeros(1, 4, 8, 8), torch.tensor([1.0, wrong])))
    assert not features.finite
    with pytest.raises(FloatingPointError):
        features.to_bytes()


FORGED = {
    "nothing": b"",
    "a pickle": b"\x80\x04K\x07.",
    "cut short": save(GOOD)[:-1],
    "no size": save({name: GOOD[name] for name in ("0", "1")}),
    "another size": save(GOOD | {"hw": torch.tensor([48, 64])}),
    "a size of three": save(GOOD | {"hw": torch.tensor([64, 48, 3])}),
    "a size of one": save(GOOD | {"hw": torch.tensor(64)}),
    "a tensor less": save({name: GOOD[name] for name in ("hw", "0")}),
    "a tensor more": save(GOOD | {"2": torch.zeros(1)}),
    "other names": save({"hw": GOOD["hw"], "0": GOOD["0"], "a": GOOD["1"].clone()}),
    "another shape": save(GOOD | {"0": torch.zeros(1, 4, 4, 8)}),
    "another type": save(GOOD | {"1": torch.zeros(10)}),
    "NaN": save(GOOD | {"0": torch.full((1, 4, 8, 8), torch.nan)}),
    "Infinity": save(GOOD | {"1": torch.full((10,), torch.inf, dtype=torch.bfloat16)}),
}


@pytest.mark.parametrize("data", FORGED.values(), ids=FORGED.keys())
def test_bytes_of_anything_else_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="features: expected"):
        ImageFeatures.from_bytes(data, HW, LIKE)
