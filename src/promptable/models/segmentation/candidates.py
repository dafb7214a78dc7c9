"""Which of the candidate masks that SAM returns for a prompt is the answer."""

import torch
from torch import Tensor

from promptable.models.segmentation.extent import Extent


def choose(low_res_logits: Tensor, scores: Tensor, extent: Extent = Extent.BEST) -> tuple[Tensor, Tensor]:
    """Choose one of the C candidates of each of N objects by ``extent``.

    Candidates are low-res logits [N, C, h, w] and scores [N, C]; the result is [N, 1, h, w] and [N]. Choosing before
    the logits are enlarged saves most of the work on a large picture.
    """
    objects = torch.arange(len(scores), device=scores.device)
    chosen = _choice(low_res_logits, scores, extent)
    return low_res_logits[objects, chosen].unsqueeze(1), scores[objects, chosen]


def _choice(low_res_logits: Tensor, scores: Tensor, extent: Extent) -> Tensor:
    """The index of the chosen candidate of each object, int64 [N]."""
    if extent is Extent.BEST:
        return scores.argmax(1)
    areas = (low_res_logits > 0).sum((2, 3))
    if extent is Extent.WHOLE:
        return areas.argmax(1)
    return areas.where(areas > 0, areas.max() + 1).argmin(1)
