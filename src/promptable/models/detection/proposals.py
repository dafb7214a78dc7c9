"""What a detector proposes for a picture before anything is chosen: boxes, each with the prompt that fits it best."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from promptable.models.detection.detector import PromptScores

_OTHERS = 3
"""So many prompts beside the best are known of a box."""


@dataclass(frozen=True)
class Proposals:
    """N boxes of one picture.

    ``boxes_xyxy`` float32 [N, 4] in continuous pixels of the picture, not clipped to it; ``prompt_indices`` int64
    [N], the best prompt, and ``scores`` float32 [N] in 0..1, how well it fits; ``captions`` int64 [N], the caption
    that found the box; ``cut`` bool [N, 4], whether the picture goes on beyond the left, top, right and bottom edge of
    what the detector saw there; ``beyond_overlap`` bool [N], whether a tile found it though it is larger than what the
    tiles overlap by; ``other_prompts`` int16 [N, K], the K next best prompts, and ``other_scores`` float32 [N, K].
    """

    boxes_xyxy: NDArray[np.float32]
    prompt_indices: NDArray[np.int64]
    scores: NDArray[np.float32]
    captions: NDArray[np.int64]
    cut: NDArray[np.bool_]
    beyond_overlap: NDArray[np.bool_]
    other_prompts: NDArray[np.int16]
    other_scores: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Memory that the arrays hold, in bytes."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Proposals":
        """The boxes that a mask or indices name."""
        return Proposals(*(getattr(self, field.name)[rows] for field in fields(self)))


def best_prompts(scores: PromptScores) -> Proposals:
    """Each box with its best prompts, as from a view of the whole picture: nothing is cut."""
    prompts = scores.scores.argmax(1)
    best = scores.scores[np.arange(len(prompts)), prompts]
    cut, beyond_overlap = np.zeros((len(prompts), 4), np.bool_), np.zeros(len(prompts), np.bool_)
    others = _next_best(scores.scores, prompts)
    return Proposals(scores.boxes_xyxy, prompts, best, scores.captions, cut, beyond_overlap, *others)


def synonym_scores(proposals: Proposals, label_of_prompt: Sequence[int]) -> NDArray[np.float32]:
    """How well another prompt of its label fits each box, float32 [N]; 0 where none is among the next best prompts."""
    labels = np.asarray(label_of_prompt, np.int64)
    own = labels[proposals.other_prompts] == labels[proposals.prompt_indices][:, None]
    return np.asarray(np.where(own, proposals.other_scores, np.float32(0)).max(1, initial=0))


def _next_best(scores: NDArray[np.float32], best: NDArray[np.int64]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """The next best prompts after the ``best`` [N] of ``scores`` [N, P], and their scores."""
    rest, rows = scores.copy(), np.arange(len(best))
    prompts = np.zeros((len(best), min(_OTHERS, scores.shape[1] - 1)), np.int64)
    taken = best
    for rank in range(prompts.shape[1]):
        rest[rows, taken] = -np.inf
        taken = prompts[:, rank] = rest.argmax(1)
    return prompts.astype(np.int16), np.take_along_axis(scores, prompts, 1)


def concatenate(parts: Sequence[Proposals]) -> Proposals:
    """All boxes of the parts, in their order."""
    return Proposals(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Proposals)))
