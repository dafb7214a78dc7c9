"""The answer to a request with a ``floor``: all proposals and masks that answers at thresholds >= the floor can need.

The function applies thresholds before it joins the pieces from tiles and suppresses overlaps. So filtering an answer at
a low threshold does not give the answer at a higher one. A client that has the candidates can apply the same rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptable.wire.answers import corners, finite, outline, to_json
from promptable.wire.masks import MaskCrop, crop_to_rle


@dataclass(frozen=True)
class CandidateLabel:
    """A label, the threshold at which the function answers it, and the largest share of the picture a box may cover."""

    name: str
    type: str
    threshold: float
    max_area: float
    marks: str | None = None


@dataclass(frozen=True)
class CandidateMask:
    """The mask and polygon of a box, float32 [4], for labels of type mask or polygon. They depend on no threshold.

    ``score`` is the model's own estimate of the mask's IoU, which may be a little above 1. ``filled``: the mask is just
    the box, since the model gave none.
    """

    xyxy: NDArray[np.float32]
    mask: MaskCrop
    polygon: Sequence[float]
    score: float
    filled: bool


@dataclass(frozen=True)
class Candidates:
    """N proposals of a picture of ``hw``, and the rules that choose from them.

    ``boxes_xyxy`` float32 [N, 4], not clipped; ``label_indices`` int64 [N] point into ``labels``; ``scores`` float32
    [N]; ``captions`` int64 [N], ``cut`` bool [N, 4] and ``beyond_overlap`` bool [N], as in
    ``models.detection.proposals``; ``synonyms`` float32 [N], the score of another prompt of the same label, 0 where it
    is not known. ``floor`` is the lowest threshold for which the proposals are complete. It is higher than the
    requested floor where that floor would give too many proposals.
    """

    model: str
    hw: tuple[int, int]
    floor: float
    labels: Sequence[CandidateLabel]
    rules: Mapping[str, float]
    boxes_xyxy: NDArray[np.float32]
    label_indices: NDArray[np.int64]
    scores: NDArray[np.float32]
    captions: NDArray[np.int64]
    cut: NDArray[np.bool_]
    beyond_overlap: NDArray[np.bool_]
    synonyms: NDArray[np.float32]
    masks: Sequence[CandidateMask]


def encode(candidates: Candidates) -> str:
    """The JSON object. Raises ValueError for NaN or Infinity."""
    return to_json(
        {
            "model": candidates.model,
            "hw": list(candidates.hw),
            "floor": candidates.floor,
            "labels": [vars(label) for label in candidates.labels],
            "rules": dict(candidates.rules),
            "proposals": {
                "boxes": finite("boxes", candidates.boxes_xyxy),
                "labels": candidates.label_indices,
                "scores": finite("scores", candidates.scores),
                "captions": candidates.captions,
                "cut": candidates.cut.astype(np.uint8),
                "beyond_overlap": candidates.beyond_overlap.astype(np.uint8),
                "synonyms": finite("synonyms", candidates.synonyms),
            },
            "masks": [_mask(mask) for mask in candidates.masks],
        }
    )


def _mask(mask: CandidateMask) -> Mapping[str, object]:
    return {
        "box": corners(mask.xyxy),
        "rle": crop_to_rle(mask.mask),
        "polygon": outline(mask.polygon),
        "score": round(min(max(mask.score, 0.0), 1.0), 4),
        "filled": mask.filled,
    }
