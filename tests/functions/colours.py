"""A detector of plain colours in one file: with its row, all that a further model takes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptable.models.catalogue import Checkpoint, Family, Task
from promptable.models.detection.detector import PromptScores
from promptable.models.pixels.picture import Picture
from toy.scenes import COLOURS

ROW = Checkpoint(
    "https://example.org/colours.bin",
    "0" * 64,
    None,
    Family("Colours", "MIT", "colours.json", {Task.DETECTION: __name__}),
    memory_gib=1,
)
_LARGEST_DIFFERENCE = 40


class ColourDetector:
    """One box a prompt, around all that has its colour; its score is the share of the box that has it."""

    def spell(self, prompt: str) -> tuple[int, int, int]:
        if prompt not in COLOURS:
            raise ValueError(f"prompt {prompt!r} is no colour")
        return COLOURS[prompt]

    def prepare(self, prompts: Sequence[str]) -> None:
        for prompt in prompts:
            self.spell(prompt)

    def detect(self, image: Picture, prompts: Sequence[str], scale: float = 1.0) -> PromptScores:
        assert 0 < scale <= 1
        found = [_around(_has_colour(np.asarray(image), prompt)) for prompt in prompts]
        boxes = np.array([box for box, _ in found], np.float32)
        scores = np.diag([score for _, score in found]).astype(np.float32)
        return PromptScores(boxes, scores, np.zeros(len(prompts), np.int64))


def load(model: str, weights_dir: Path, device: str, precision: str, cuda_graphs: bool = False) -> ColourDetector:
    assert (model, device) == ("colours", "cpu")
    assert isinstance(weights_dir, Path)
    return ColourDetector()


def _has_colour(image: NDArray[np.uint8], name: str) -> NDArray[np.bool_]:
    return np.asarray(np.abs(image.astype(int) - COLOURS[name]).max(2) < _LARGEST_DIFFERENCE)


def _around(mask: NDArray[np.bool_]) -> tuple[tuple[float, float, float, float], float]:
    if not mask.any():
        return (0, 0, 0, 0), 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return (left, top, right, bottom), mask[top:bottom, left:right].mean()
