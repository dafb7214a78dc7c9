"""Which way to pool a prompt's tokens finds most: ``python -m toy.evaluate_pooling``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promptable.models.detection.detector import PromptScores
from promptable.models.grounding_dino import detector as grounding_dino
from promptable.models.grounding_dino.detector import GroundingDINO, load
from toy.evaluate_grounding_dino import evaluate
from toy.train_grounding_dino import SYNONYMS

FOLDER = Path(__file__).parent / "grounding-dino"
THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45)
POOLINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda tokens: tokens.mean(1),
    "geometric mean": lambda tokens: tokens.log().mean(1).exp(),
    "minimum": lambda tokens: tokens.amin(1),
    "last token": lambda tokens: tokens[:, -1],
    "maximum": lambda tokens: tokens.amax(1),
}
"""Scores [Q] of the sigmoids of a prompt's tokens [Q, T]."""
WORDINGS: Mapping[str, Callable[[str], str]] = {
    "labels": lambda label: label,
    "synonyms": lambda label: " ".join(SYNONYMS[word][0] for word in label.split()),
    "plurals": lambda label: f"{label}s",
}


@dataclass(frozen=True)
class Reworded:
    """A detector that asks for labels in other words."""

    detector: GroundingDINO
    word: Callable[[str], str]

    def detect(self, image: NDArray[np.uint8], labels: Sequence[str]) -> PromptScores:
        """As ``GroundingDINO.detect``."""
        return self.detector.detect(image, [self.word(label) for label in labels])


def pooled(pool: Callable[[Tensor], Tensor], logits: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """As ``grounding_dino.span_scores``, which it stands in for."""
    return torch.stack([pool(logits[:, start:stop].sigmoid()) for start, stop in spans], 1)


def main() -> None:
    """Print F1 at the best threshold for each way to pool, with all 32 labels asked for in three wordings."""
    torch.set_num_threads(1)
    detector = load(str(FOLDER), FOLDER, "cpu")
    print(f"{'F1':16}" + "".join(f"{wording:>10}" for wording in WORDINGS))
    for name, pool in POOLINGS.items():
        with patch.object(grounding_dino, "span_scores", partial(pooled, pool)):
            asked: list[Any] = [Reworded(detector, word) for word in WORDINGS.values()]
            best = [max(figures.f1 for figures in evaluate(one, THRESHOLDS)) for one in asked]
        print(f"{name:16}" + "".join(f"{f1:10.3f}" for f1 in best), flush=True)


if __name__ == "__main__":
    main()
