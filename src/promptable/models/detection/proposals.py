"""All boxes that a detector proposes for a picture, before any threshold, each with the prompts that fit it best."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from promptable.models.detection.detector import PromptScores

_OTHERS = 3
"""How many further prompts, beside the best one, a proposal has."""


@dataclass(frozen=True)
class Proposals:
    """N boxes of one picture.

    ``boxes_xyxy`` float32 [N, 4] in continuous pixels of the picture, not clipped to it; ``prompt_indices`` int64 [N],
    the best prompt of each box, and ``scores`` float32 [N] in 0..1, the score of that prompt; ``captions`` int64 [N],
    the caption that found the box; ``cut`` bool [N, 4], whether the box ends at the left, top, right or bottom edge of
    its tile, where the picture continues beyond that edge; ``beyond_overlap`` bool [N], whether the box was found in a
    tile and is larger than the overlap of the tiles; ``other_prompts`` int16 [N, K], the K next best prompts, and
    ``other_scores`` float32 [N, K], their scores.
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
        """The proposals that a mask, bool [N], or indices, int64 [M], select."""
        return Proposals(*(getattr(self, field.name)[rows] for field in fields(self)))


def best_prompts(scores: PromptScores) -> Proposals:
    """Each box with its best prompts, for a view of the whole picture: no box is ``cut`` or ``beyond_overlap``."""
    prompts = scores.scores.argmax(1)
    best = scores.scores[np.arange(len(prompts)), prompts]
    cut, beyond_overlap = np.zeros((len(prompts), 4), np.bool_), np.zeros(len(prompts), np.bool_)
    others = _next_best(scores.scores, prompts)
    return Proposals(scores.boxes_xyxy, prompts, best, scores.captions, cut, beyond_overlap, *others)


def synonym_scores(proposals: Proposals, label_of_prompt: Sequence[int]) -> NDArray[np.float32]:
    """The best score of another prompt of each box's label, float32 [N]; 0 if none is among the next best prompts."""
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
    """All proposals of the parts, in the same order."""
    return Proposals(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Proposals)))
