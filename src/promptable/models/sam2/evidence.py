"""What SAM 2 says of its own mask: by this the memory rules judge whether a frame is worth remembering."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

# Another candidate mask whose box overlaps the chosen one's by no more is of another thing, or of a part (DAM4SAM).
_RIVAL_BOX_IOU = 0.7


@dataclass(frozen=True)
class Evidence:
    """How sure one frame's mask is.

    ``score`` in [0, 1] is max(0, 2 * sigmoid(object score) - 1) * ``iou``, the rule of SAM 3's tracker; ``iou`` the
    predicted IoU; ``area`` the pixels of the low-res mask; ``rival`` whether the model had a candidate mask elsewhere.
    """

    score: float
    iou: float
    area: int
    rival: bool


GIVEN = Evidence(score=1.0, iou=1.0, area=0, rival=False)
"""Of a mask that nobody need judge."""


def evidence_of(chosen: Tensor, object_scores: Tensor, candidates: Tensor, ious: Tensor) -> list[Evidence]:
    """The evidence of each object's mask.

    ``chosen`` [N, 1, h, w] are the logits of the masks that were answered, ``object_scores`` [N, 1] logits,
    ``candidates`` [N, M, h, w] the logits of all masks that the decoder offered, ``ious`` [N, M] its predicted IoUs.
    """
    best = ious.float().amax(1)
    scores = (2 * object_scores[:, 0].float().sigmoid() - 1).clamp(min=0) * best
    areas = (chosen > 0).sum((1, 2, 3))
    rivals = [_has_rival(*each) for each in zip(chosen[:, 0] > 0, candidates > 0, strict=True)]
    return [Evidence(*parts) for parts in zip(scores.tolist(), best.tolist(), areas.tolist(), rivals, strict=True)]


def _has_rival(chosen: Tensor, candidates: Tensor) -> bool:
    """``chosen`` bool [h, w], ``candidates`` bool [M, h, w]; empty masks are of nothing."""
    others = candidates[candidates.any((1, 2))]
    if not chosen.any():
        return False
    return bool((box_iou(_boxes(chosen[None]), _boxes(others)) <= _RIVAL_BOX_IOU).any())


def _boxes(masks: Tensor) -> Tensor:
    """Boxes xyxy float32 [N, 4] of masks bool [N, h, w], none of them empty."""
    low = torch.stack([_first(masks.any(1)), _first(masks.any(2))], 1)
    size = torch.tensor([masks.shape[2], masks.shape[1]], device=masks.device)
    high = size - torch.stack([_first(masks.any(1).flip(1)), _first(masks.any(2).flip(1))], 1)
    return torch.cat([low, high], 1).float()


def _first(lines: Tensor) -> Tensor:
    """Where the first True is in each row of bool [N, L]."""
    return lines.byte().argmax(1)
