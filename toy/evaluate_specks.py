"""Masks of detections with and without what lies outside their boxes: ``python -m toy.evaluate_specks``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from promptable.models.detection.selection import LabelRule, Suppression, select
from promptable.models.detection.tiling import Tiling, propose
from promptable.models.grounding_dino.detector import GroundingDINO, load
from promptable.models.load import load_segmenter
from promptable.models.segmentation.segmenter import Segmenter
from promptable.wire.clean import within_box
from toy.metrics import box_iou, mask_iou
from toy.scenes import LABELS, Scene, scenes

TOY = Path(__file__).parent
FIRST_SEED, SCENES = 30_000_000, 40
THRESHOLD = 0.35
SAME = 0.5

Mask = NDArray[np.bool_]


def main() -> None:
    """Print how many masks reach outside, and the mean IoU with the objects before and after."""
    torch.set_num_threads(1)
    detector = load(str(TOY / "grounding-dino"), TOY, "cpu")
    found = [(scene, _boxes(detector, scene)) for scene in scenes(FIRST_SEED, SCENES)]
    for name in ("sam", "sam2"):
        segmenter = load_segmenter(str(TOY / name), TOY, "cpu")
        pairs = [pair for scene, boxes in found for pair in _masks(segmenter, scene, boxes)]
        changed = [ious for ious in pairs if ious[2]]
        print(f"{name}: {len(pairs)} masks, {len(changed)} reach outside")
        for title, some in (("all", pairs), ("those", changed)):
            if some:
                before, after = np.mean([ious[:2] for ious in some], 0)
                print(f"  {title:6} before {before:.4f} after {after:.4f}")


def _boxes(detector: GroundingDINO, scene: Scene) -> NDArray[np.float32]:
    """What is found of all labels, float32 [N, 4]."""
    proposals = propose(detector, scene.image, LABELS, Tiling())
    rules = [LabelRule(THRESHOLD, 0.95)] * len(LABELS)
    return select(proposals, range(len(LABELS)), rules, scene.image.shape[:2], Suppression()).boxes_xyxy


def _masks(segmenter: Segmenter, scene: Scene, boxes: NDArray[np.float32]) -> Iterator[tuple[float, float, bool]]:
    """Of each box that an object is in: the IoU with that object before and after, and whether anything changed."""
    features = segmenter.encode_image(scene.image)
    for box, prediction in zip(boxes, segmenter.predict_boxes(features, boxes), strict=True):
        overlap, index = max((box_iou(box, thing.xyxy), i) for i, thing in enumerate(scene.objects))
        if overlap > SAME:
            truth = scene.objects[index].mask
            kept = within_box(prediction.mask, box).in_picture(prediction.mask.shape)
            yield mask_iou(prediction.mask, truth), mask_iou(kept, truth), bool((kept != prediction.mask).any())


if __name__ == "__main__":
    main()
