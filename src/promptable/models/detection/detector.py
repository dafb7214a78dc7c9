"""What every model that finds on a picture what words name has in common."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PromptScores:
    """Every box that the model proposes, with how well each prompt describes it.

    ``boxes_xyxy`` float32 [Q, 4] in continuous pixels of the picture, not clipped to it; ``scores`` float32 [Q, P] in
    0..1, a column per prompt. A model may read its prompts in several captions: each caption adds its own boxes, for
    which the prompts of other captions score 0; ``captions`` int64 [Q] says which caption found a box.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    captions: NDArray[np.int64]


class Detector(Protocol):
    """A text-prompted detector: it encodes a set of prompts once, then looks for all of them in every picture."""

    def spell(self, prompt: str) -> Hashable:
        """What the model reads of a prompt: equal for two that it cannot tell apart.

        Raises ValueError that names the prompt, where it cannot be read.
        """

    def prepare(self, prompts: Sequence[str]) -> None:
        """Encode prompts ahead of the first picture, so that ``detect`` need not. Raises ValueError as ``spell``."""

    def detect(self, image: NDArray[np.uint8], prompts: Sequence[str], scale: float = 1.0) -> PromptScores:
        """All boxes that the model proposes for a picture, uint8 RGB [H, W, 3], with a score for each prompt.

        ``scale`` shrinks what the model is shown, and with it the memory that it takes. Raises ValueError as ``spell``,
        OutOfMemoryError, FloatingPointError where the model's own numbers are not finite.
        """
