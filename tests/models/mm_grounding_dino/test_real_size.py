"""The published Swin-T size, read from transformers' files: its model's answers to a picture at 800 pixels."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import BertTokenizerFast

from promptable.models.grounding_dino.detector import GroundingDINO
from promptable.models.mm_grounding_dino.build import PRESETS, read_config
from promptable.models.mm_grounding_dino.detector import load
from tests.models.grounding_dino.tiny import bert_base_tokenizer
from tests.models.mm_grounding_dino.tiny import random_mm, saved, theirs

PIXELS, SCORE = 0.01, 1e-4
LEAST_ALIKE = 0.99
"""Queries are chosen and ordered by scores: where two differ by less than float32 resolves, chance decides."""
PROMPTS = ["traffic light", "fire hydrant", "person", "dog", "excavator", "red umbrella"]
SIDES = 800, 1333


def test_boxes_and_scores_are_those_of_transformers_at_the_real_size(tmp_path: Path) -> None:
    tokenizer: BertTokenizerFast = bert_base_tokenizer(tmp_path)
    model = random_mm()
    folder = saved(model, tmp_path)
    assert read_config(folder / "config.json").network == PRESETS["llmdet-tiny"].network
    coarse = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    image = np.array(Image.fromarray(coarse).resize((480, 480), Image.Resampling.BICUBIC))
    boxes, scores = theirs(model, tokenizer, image, PROMPTS, SIDES)
    del model
    ours: GroundingDINO = load(str(folder), folder, "cpu")
    found = ours.detect(image, PROMPTS)
    box = (torch.from_numpy(found.boxes_xyxy)[:, None] - boxes[None]).abs().amax(2)
    score = (torch.from_numpy(found.scores)[:, None] - scores[None]).abs().amax(2)
    alike = ((box <= PIXELS) & (score <= SCORE)).any(1)
    assert alike.float().mean() >= LEAST_ALIKE
    assert float(scores.max()) > 2 * float(scores.mean())
