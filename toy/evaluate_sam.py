"""How well a segmenter answers on held-out scenes: ``python -m toy.evaluate_sam [model folder]``."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from promptable.models.load import load_segmenter
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.segmenter import Prediction, Prompt, Segmenter
from toy.metrics import mask_iou
from toy.scenes import scenes

FIRST_SEED = 10_000_000
SCENES = 120
CORRECTIONS = 3
_INNER_MARGIN = 2.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Figures:
    """Means over all objects of all scenes.

    The IoU for one random click inside the object, for its exact box, and for that click after up to three corrections,
    each in the middle of the largest error; and by how much the click's score missed its IoU.
    """

    objects: int
    click_iou: float
    box_iou: float
    refined_iou: float
    score_error: float


def evaluate(segmenter: Segmenter, first_seed: int = FIRST_SEED, count: int = SCENES) -> Figures:
    rows = np.array(list(_measured(segmenter, first_seed, count)))
    return Figures(len(rows), *(round(float(mean), 4) for mean in rows.mean(0)))


def _measured(segmenter: Segmenter, first_seed: int, count: int) -> Iterator[tuple[float, float, float, float]]:
    rng = np.random.default_rng(first_seed)
    for scene in scenes(first_seed, count):
        features = segmenter.encode_image(scene.image)
        boxed = segmenter.predict_boxes(features, np.stack([target.xyxy for target in scene.objects]))
        for target, box in zip(scene.objects, boxed, strict=True):
            prompt = Prompt(_inner_point(target.mask, rng)[None], np.ones(1, np.int32))
            click = segmenter.predict(features, prompt)
            refined = _refine(segmenter, features, prompt, click, target.mask)
            click_iou, box_iou, refined_iou = (mask_iou(each.mask, target.mask) for each in (click, box, refined))
            yield click_iou, box_iou, refined_iou, abs(click.score - click_iou)


def _inner_point(mask: Mask, rng: np.random.Generator) -> NDArray[np.float32]:
    """The centre of a random pixel at least two pixels inside the mask, float32 xy [2]."""
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    row, column = rng.choice(np.argwhere(depth > min(_INNER_MARGIN, 0.5 * float(depth.max()))))
    return np.array([column + 0.5, row + 0.5], np.float32)


def _refine(model: Segmenter, features: ImageFeatures, prompt: Prompt, answer: Prediction, truth: Mask) -> Prediction:
    """Answer again after each correcting click, with the answer before as mask prompt."""
    for _ in range(CORRECTIONS):
        wrong = answer.mask ^ truth
        if not wrong.any():
            break
        depth = cv2.distanceTransform(np.pad(wrong, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        points = np.append(prompt.points_xy, np.array([[column + 0.5, row + 0.5]], np.float32), 0)
        labels = np.append(prompt.labels, np.int32(truth[row, column]))
        prompt = Prompt(points, labels, mask_input=answer.low_res_logits)
        answer = model.predict(features, prompt)
    return answer


def main() -> None:
    torch.set_num_threads(1)
    folder = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent / "sam")
    print(json.dumps(asdict(evaluate(load_segmenter(folder, Path(folder), "cpu"))), indent=2))


if __name__ == "__main__":
    main()
