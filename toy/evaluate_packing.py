"""How far a label's score moves with the other prompts of its caption, and in bf16; what rival captions cost.

``python -m toy.evaluate_packing``
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from promptable.models.detection.proposals import best_prompts, concatenate
from promptable.models.detection.selection import Detections, LabelRule, Suppression, select
from promptable.models.grounding_dino.detector import GroundingDINO, load
from toy.evaluate_grounding_dino import matched_ious
from toy.scenes import LABELS, Scene, scenes
from toy.train_grounding_dino import SYNONYMS

FOLDER = Path(__file__).parent / "grounding-dino"
SEED = 12_000_000
THRESHOLD = 0.35


def long_list(count: int) -> list[str]:
    """The 32 labels, then other prompts from the toy's vocabulary that mean one of them or several."""
    colours, shapes = zip(*(label.split() for label in LABELS), strict=True)
    words = [[word for name in dict.fromkeys(names) for word in (name, *SYNONYMS[name])] for names in (colours, shapes)]
    pairs = [" ".join(pair) for pair in product(*words)]
    others = [*pairs, *(f"{pair}s" for pair in pairs), *(f"the {pair}" for pair in pairs)]
    return [*LABELS, *(prompt for prompt in others if prompt not in LABELS)][:count]


def own_scores(detector: GroundingDINO, drawn: Sequence[Scene], groups: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """For each object the best score of its own label, where the prompts are asked for group by group; 0 if missed.

    Objects without a prompt of their own are NaN.
    """
    return np.array([score for one in drawn for score in _own_scores(detector, one, groups)])


def _own_scores(detector: GroundingDINO, one: Scene, groups: Sequence[Sequence[str]]) -> list[float]:
    scores = [float("nan")] * len(one.objects)
    for group in groups:
        found = detector.detect(one.image, group)
        truth = torch.from_numpy(np.stack([thing.xyxy for thing in one.objects]))
        overlaps = box_iou(torch.from_numpy(found.boxes_xyxy), truth).numpy() >= 0.5
        for number, thing in enumerate(one.objects):
            if thing.label in group:
                scores[number] = found.scores[overlaps[:, number], group.index(thing.label)].max(initial=0)
    return scores


def in_captions(detector: GroundingDINO, one: Scene, groups: Sequence[Sequence[int]], rivals: bool) -> Detections:
    """What is found of the labels with these numbers, a caption for each group.

    Without ``rivals`` the captions do not compete for objects.
    """
    parts = [best_prompts(detector.detect(one.image, [LABELS[number] for number in group])) for group in groups]
    named = [
        replace(
            part,
            prompt_indices=np.array(group)[part.prompt_indices],
            captions=np.full_like(part.captions, number * rivals),
        )
        for number, (part, group) in enumerate(zip(parts, groups, strict=True))
    ]
    rules = [LabelRule(THRESHOLD)] * len(LABELS)
    return select(concatenate(named), range(len(LABELS)), rules, one.image.shape[:2], Suppression())


def precision_and_recall(found: Sequence[Detections], drawn: Sequence[Scene]) -> tuple[float, float]:
    """Shares of the detections and of the objects that fit, at IoU 0.5 with the right label."""
    right = sum(int((matched_ious(*pair) >= 0.5).sum()) for pair in zip(found, drawn, strict=True))
    return right / sum(len(one.scores) for one in found), right / sum(len(one.objects) for one in drawn)


def main() -> None:
    """Print how scores move against those of the 32 labels in one caption, and how four captions do."""
    torch.set_num_threads(1)
    detector, drawn = load(str(FOLDER), FOLDER, "cpu"), list(scenes(SEED, 60))
    alone = own_scores(detector, drawn, [LABELS])
    asked: dict[str, Sequence[Sequence[str]]] = {
        "each label alone": [[label] for label in LABELS],
        "20 labels": [LABELS[:20]],
        "the same, reversed": [LABELS[::-1]],
        "80 prompts": [long_list(80)],
        "365 prompts": [long_list(365)],
        "16 + 16 labels": [LABELS[:16], LABELS[16:]],
        "28 + 4 labels, the 28": [LABELS[:28]],
        "28 + 4 labels, the 4": [LABELS[28:]],
    }
    for what, groups in asked.items():
        captions = sum(len(detector._encode(tuple(group))) for group in groups)
        print(
            f"{what:24}{captions:3} captions, {_moved(own_scores(detector, drawn, groups) - alone, alone)}", flush=True
        )
    half = own_scores(load(str(FOLDER), FOLDER, "cpu", "bf16"), drawn, [LABELS])
    print(f"{'in bf16':24}  1 captions, {_moved(half - alone, alone)}", flush=True)
    order = np.random.default_rng(SEED).permutation(len(LABELS))
    for what, rivals in (("rivals", True), ("not rivals", False)):
        found = [in_captions(detector, one, np.reshape(order, (4, -1)).tolist(), rivals) for one in drawn]
        precision, recall = precision_and_recall(found, drawn)
        print(f"4 captions in random order, {what}: precision {precision:.3f}, recall {recall:.3f} at {THRESHOLD}")


def _moved(moved: NDArray[np.float64], alone: NDArray[np.float64]) -> str:
    known = moved[np.isfinite(moved) & (alone > 0)]
    far = np.quantile(np.abs(known), 0.95)
    return f"moved by {known.mean():+.3f} +- {known.std():.3f}, 95% below {far:.3f}, at most {np.abs(known).max():.3f}"


if __name__ == "__main__":
    main()
