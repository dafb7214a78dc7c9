"""What SAM 2 says of its own mask: by this the memory rules judge whether a frame is worth remembering."""

from dataclasses import dataclass

import torch
from torch import Tensor

from promptable.models.segmentation.mask_boxes import mask_boxes

# A candidate mask whose box has at most this IoU with the chosen one's shows another thing, or a part (DAM4SAM).
_RIVAL_BOX_IOU = 0.7


@dataclass(frozen=True)
class Evidence:
    """How sure one frame's mask is.

    ``score`` in [0, 1] is max(0, 2 * sigmoid(object score) - 1) * ``iou``, the rule of SAM 3's tracker; ``iou`` the
    predicted IoU, which may lie outside [0, 1] if the model has no sigmoid there, and then counts as 0 or 1 in the
    score; ``area`` the pixels of the low-res mask; ``rival`` whether the model had a candidate mask elsewhere.
    """

    score: float
    iou: float
    area: int
    rival: bool


GIVEN = Evidence(score=1.0, iou=1.0, area=0, rival=False)
"""The evidence of a mask that people gave: there is nothing to judge."""


def evidence_of(chosen: Tensor, object_scores: Tensor, candidates: Tensor, ious: Tensor) -> Tensor:
    """The evidence of each object's mask, float32 [N, 4] on the model's device; ``read_evidence`` reads it.

    ``chosen`` [N, 1, h, w] are the logits of the masks that were answered, ``object_scores`` [N, 1] logits,
    ``candidates`` [N, M, h, w] the logits of all masks that the decoder offered, ``ious`` [N, M] its predicted IoUs.
    """
    best = ious.float().amax(1)
    scores = (2 * object_scores[:, 0].float().sigmoid() - 1).clamp(min=0) * best.clamp(0, 1)
    return torch.stack([scores, best, _areas(chosen), _have_rivals(chosen > 0, candidates > 0)], 1)


def evidence_of_given(chosen: Tensor) -> Tensor:
    """As ``evidence_of``, for masks that people drew."""
    areas = _areas(chosen)
    return torch.stack([torch.ones_like(areas), torch.ones_like(areas), areas, torch.zeros_like(areas)], 1)


def read_evidence(values: Tensor) -> list[Evidence]:
    """The evidence of each object, from the rows that ``evidence_of`` returned."""
    return [Evidence(score, iou, int(area), bool(rival)) for score, iou, area, rival in values.tolist()]


def _areas(chosen: Tensor) -> Tensor:
    return (chosen > 0).sum((1, 2, 3)).float()


def _have_rivals(chosen: Tensor, candidates: Tensor) -> Tensor:
    """Whether each of ``chosen`` bool [N, 1, h, w] has a rival in ``candidates`` bool [N, M, h, w]: bool [N].

    An empty mask has none and is none.
    """
    box, boxes = mask_boxes(chosen).float(), mask_boxes(candidates).float()
    rivals: Tensor = (_iou(box, boxes) <= _RIVAL_BOX_IOU) & (_area(box) > 0) & (_area(boxes) > 0)
    return rivals.any(1)


def _iou(boxes: Tensor, others: Tensor) -> Tensor:
    """The IoU [N, M] of boxes xyxy [N, 1, 4] and [N, M, 4], as torchvision's, which takes a second to import."""
    sides = torch.minimum(boxes, others)[..., 2:] - torch.maximum(boxes, others)[..., :2]
    shared = sides.clamp(min=0).prod(-1)
    return shared / (_area(boxes) + _area(others) - shared)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
