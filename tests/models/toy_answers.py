"""What the toy checkpoints answer on whatever device and in whatever precision, and how alike two answers are."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from promptable.models.detection.detector import PromptScores
from promptable.models.sam2.video_prompts import MaskPrompt
from promptable.models.sam2.video_tracker import VideoTracker
from promptable.models.segmentation.segmenter import Prompt, Segmenter
from toy.metrics import mask_iou
from toy.scenes import Scene, scene

Masks = list[NDArray[np.bool_]]
SCENES = [scene(seed) for seed in range(8)]
PROMPTS = ["red circle", "blue star"]


def masks(segmenter: Segmenter, scenes: Sequence[Scene]) -> Masks:
    """By a box and by a click for every object."""
    found = []
    for drawn in scenes:
        features = segmenter.encode_image(drawn.image)
        for thing in drawn.objects:
            middle = thing.xyxy.reshape(2, 2).mean(0, keepdims=True)
            prompts = Prompt(box_xyxy=thing.xyxy), Prompt(middle, np.ones(1, np.int32))
            found += [segmenter.predict(features, prompt).mask for prompt in prompts]
    return found


def mean_iou(some: Masks, others: Masks) -> float:
    return float(np.mean([mask_iou(*pair) for pair in zip(some, others, strict=True)]))


def followed(tracker: VideoTracker, clip: Sequence[Scene]) -> Masks:
    """The masks of all objects on all frames after the first."""
    results = tracker.start(tracker.encode_image(clip[0].image), [MaskPrompt(one.mask) for one in clip[0].objects])
    memories = [[result.memory] for result in results]
    found: Masks = []
    for step, frame in enumerate(clip[1:], 1):
        results = tracker.step(tracker.encode_image(frame.image), [step] * len(memories), memories)
        memories = [tracker.retain([*past, one.memory]) for past, one in zip(memories, results, strict=True)]
        found += [result.mask for result in results]
    return found


def assert_nearly_the_boxes(
    found: PromptScores, expected: PromptScores, hw: tuple[int, int], pixels: float = 1, score: float = 0.03
) -> None:
    """Within a pixel of the 1333 that the official models see at most, for whatever is found in a picture of ``hw``."""
    for box, scores in zip(expected.boxes_xyxy, expected.scores, strict=True):
        if scores.max() >= 0.35:
            apart = np.abs(found.boxes_xyxy - box).max(1) * 1333 / max(hw)
            assert apart.min() < pixels
            assert np.abs(found.scores[apart.argmin()] - scores).max() < score


def overflow(model: object) -> None:
    """Let an attention's values be 2**20 times as large, which float16 does not have; what comes out is the same."""
    name = "_sam" if hasattr(model, "_sam") else "_model"
    attention = next(layer for layer in vars(model)[name].modules() if hasattr(layer, "qkv"))
    values = len(attention.qkv.weight) * 2 // 3
    with torch.no_grad():
        attention.qkv.weight[values:] *= 2.0**20
        attention.qkv.bias[values:] *= 2.0**20
        attention.proj.weight *= 2.0**-20
