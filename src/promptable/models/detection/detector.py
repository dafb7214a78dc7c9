"""The interface of all text-prompted detectors."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from promptable.models.pixels.picture import Picture


@dataclass(frozen=True)
class PromptScores:
    """Every box that the model proposes, with a score for each prompt.

    ``boxes_xyxy`` float32 [Q, 4] in continuous pixels of the picture, not clipped to it; ``scores`` float32 [Q, P] in
    0..1, one column for each prompt: how well it describes the box. A model may read its prompts in several captions.
    Each caption then adds its own boxes, for which the prompts of other captions score 0; ``captions`` int64 [Q] says
    which caption found a box.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    captions: NDArray[np.int64]


class Detector(Protocol):
    """A text-prompted detector: it encodes a set of prompts once, and then looks for all of them in each picture."""

    def spell(self, prompt: str) -> Hashable:
        """The prompt as the model reads it: equal for two prompts that the model cannot tell apart.

        Raises ValueError, naming the prompt, if the model cannot read it.
        """

    def prepare(self, prompts: Sequence[str]) -> None:
        """Encode prompts before the first picture, so that ``detect`` finds them encoded. Raises ValueError as
        ``spell``."""

    def detect(self, image: Picture, prompts: Sequence[str], scale: float = 1.0) -> PromptScores:
        """All boxes that the model proposes for a picture, uint8 RGB [H, W, 3], with a score for each prompt.

        ``scale`` below 1 shrinks the picture for the model, which then needs less memory. Raises ValueError as
        ``spell``, OutOfMemoryError, and FloatingPointError if the model's output is not finite.
        """
