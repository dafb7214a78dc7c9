"""Models on a (simulated) GPU answer what they answer on the CPU, and no part of them may be left behind."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from transformers import BertTokenizerFast

from promptable.models.grounding_dino.detector import GroundingDINO, use_fast_layers
from promptable.models.mm_grounding_dino.contrastive import ScaledContrastiveEmbed
from promptable.models.sam.segmenter import SamSegmenter
from tests.models.grounding_dino.tiny import CONFIG, tiny_model
from tests.models.sam.test_segmenter import prompts

NoiseImage = Callable[[int, int], NDArray[np.uint8]]
PROMPTS = ["red circle", "blue circle", "cargo"]


def test_sam(cuda: torch.device, tiny_sam: Sam, noise_image: NoiseImage) -> None:
    image = noise_image(48, 96)
    here, there = SamSegmenter(tiny_sam), SamSegmenter(deepcopy(tiny_sam).to(cuda))
    features, features_there = here.encode_image(image), there.encode_image(image)
    assert {tensor.device.type for tensor in features_there.tensors} == {"cuda"}
    for prompt in prompts(48, 96).values():
        expected, found = here.predict(features, prompt), there.predict(features_there, prompt)
        np.testing.assert_array_equal(found.mask, expected.mask)
        np.testing.assert_allclose(found.low_res_logits, expected.low_res_logits, atol=1e-4)
        assert found.low_res_logits.base is None, "what is remembered of a click holds no more memory than it says"


@pytest.mark.parametrize("part", ["image_encoder", "prompt_encoder", "mask_decoder"])
def test_a_part_of_sam_left_behind(cuda: torch.device, tiny_sam: Sam, noise_image: NoiseImage, part: str) -> None:
    sam = deepcopy(tiny_sam).to(cuda)
    getattr(sam, part).cpu()
    segmenter = SamSegmenter(sam)
    with pytest.raises(RuntimeError, match="same device"):
        segmenter.predict(segmenter.encode_image(noise_image(48, 96)), prompts(48, 96)["click"])


@pytest.mark.parametrize("scaled", [False, True])
def test_grounding_dino(
    cuda: torch.device, tokenizer: BertTokenizerFast, noise_image: NoiseImage, scaled: bool
) -> None:
    """With its own logits and with those of MM-Grounding-DINO."""
    network, image = tiny_model(tokenizer), noise_image(64, 64)
    if scaled:
        network.class_embed[-1] = ScaledContrastiveEmbed()
    expected = GroundingDINO(use_fast_layers(deepcopy(network)), CONFIG).detect(image, PROMPTS)
    found = GroundingDINO(use_fast_layers(network.to(cuda)), CONFIG).detect(image, PROMPTS)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=1e-3)


def test_a_graph_of_grounding_dino_outlives_pictures_of_many_other_sizes(
    cuda: torch.device, tokenizer: BertTokenizerFast, noise_image: NoiseImage
) -> None:
    """All that it reads is its own: what is kept for the last sizes alone may be gone."""
    network, image = use_fast_layers(tiny_model(tokenizer).to(cuda)), noise_image(64, 64)
    expected = GroundingDINO(network, CONFIG).detect(image, PROMPTS)
    graphed = GroundingDINO(network, CONFIG, cuda_graphs=True)
    for _ in range(5):
        graphed.detect(image, PROMPTS)
    for width in range(1, 100):
        position = torch.zeros(1, network.feat_map.out_features, 1, width, device=cuda)
        network.transformer.lay_out([position] * CONFIG.num_feature_levels)
    found = graphed.detect(image, PROMPTS)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=1e-3)


@pytest.mark.parametrize("part", ["bert", "backbone", "transformer"])
def test_a_part_of_grounding_dino_left_behind(
    cuda: torch.device, tokenizer: BertTokenizerFast, noise_image: NoiseImage, part: str
) -> None:
    network = use_fast_layers(tiny_model(tokenizer).to(cuda))
    getattr(network, part).cpu()
    with pytest.raises(RuntimeError, match="same device"):
        GroundingDINO(network, CONFIG).detect(noise_image(64, 64), PROMPTS)
