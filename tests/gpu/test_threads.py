"""A picture's features stay on the GPU, and any thread may read them at once: before the GPU has computed them, too."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from promptable.models.load import load_segmenter
from promptable.models.segmentation.segmenter import Prompt
from tests.functions.conftest import TOY, Function
from tests.functions.requests import SCENE
from tests.golden.alike import assert_alike
from toy.png import png_base64

LONG = 200_000_000
"""Cycles of the GPU, some 0.1 s."""


@pytest.mark.parametrize("cuda_graphs", [False, True])
@pytest.mark.parametrize("model", ["sam", "sam2"])
def test_features_that_the_gpu_has_not_computed_yet(model: str, cuda_graphs: bool) -> None:
    segmenter = load_segmenter(str(TOY / model), TOY, "cuda", "fp32", cuda_graphs)
    prompts = [Prompt(box_xyxy=thing.xyxy) for thing in SCENE.objects]
    features = segmenter.encode_image(SCENE.image)
    expected = [segmenter.predict(features, prompt) for prompt in prompts]
    torch.cuda._sleep(LONG)
    late = segmenter.encode_image(SCENE.image)
    with ThreadPoolExecutor(2) as others:
        found = list(others.map(lambda prompt: segmenter.predict(late, prompt), prompts))
    assert all(tensor.is_cuda for tensor in late.tensors)
    for ours, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.low_res_logits, wanted.low_res_logits, atol=1e-3)
        assert (ours.mask != wanted.mask).mean() < 1e-4


@pytest.mark.parametrize("cuda_graphs", ["false", "true"])
def test_clicks_of_many_threads_on_one_picture(cuda_graphs: str) -> None:
    """The picture is encoded once, by one of them."""
    variables = {"PROMPTABLE_MODEL": str(TOY / "sam2"), "PROMPTABLE_DEVICE": "cuda"}
    function = Function("sam-interactor", variables | {"PROMPTABLE_CUDA_GRAPHS": cuda_graphs})
    bodies: list[dict[str, Any]] = [
        {
            "image": png_base64(SCENE.image),
            "pos_points": [],
            "neg_points": [],
            "obj_bbox": thing.xyxy.reshape(2, 2).tolist(),
        }
        for thing in SCENE.objects
    ]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(function.answer, bodies * 3))
    expected = [Function("sam-interactor", variables | {"PROMPTABLE_DEVICE": "cpu"}).answer(body) for body in bodies]
    for answer, wanted in zip(found, expected * 3, strict=True):
        assert_alike(answer, wanted)
