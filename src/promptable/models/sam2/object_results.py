"""What the model says of objects in a frame, and its reading from the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from promptable.models.runtime.finite import all_finite, require
from promptable.models.runtime.transfer import to_cpu
from promptable.models.sam2.evidence import read_evidence
from promptable.models.sam2.memory import Memory
from promptable.models.segmentation.enlarging import masks_at_once
from promptable.models.segmentation.mask_boxes import PixelBox, mask_boxes, read_boxes


@dataclass(frozen=True, eq=False)
class ObjectResult:
    """One object in one frame.

    ``mask`` is bool [H, W] of the frame, ``xyxy`` its tight box, right and bottom exclusive; None of an empty mask.
    ``object_score`` is the logit that the object is there at all: at 0 and below it is lost, and the mask empty.
    ``low_res_logits`` float32 [h, w] is the mask before upscaling, ``memory`` what later steps need.
    """

    mask: NDArray[np.bool_]
    xyxy: PixelBox | None
    object_score: float
    low_res_logits: NDArray[np.float32]
    memory: Memory

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the frame."""
        return self.mask.shape[0], self.mask.shape[1]


def read_results(
    hw: tuple[int, int], found: Sequence[Tensor], evidence: Tensor, steps: Sequence[int], conditioning: bool
) -> list[ObjectResult]:
    """The results of one batch in a frame of ``hw``, in one copy from the device.

    ``found`` are the batch's low-res logits [objects, 1, h, w], object scores [objects, 1], pointers and memory
    features. ``steps`` are those of the objects, ``conditioning`` says whether they were prompted in this frame.
    Raises FloatingPointError for NaN and Infinity, which would look like a lost object.
    """
    low_res, scores, pointers, features = found
    features = features.bfloat16()
    masks = _enlarged(low_res, hw)
    finite = all_finite(low_res, scores, pointers, features, evidence)
    masks, boxes, logits, scores, pointers, features, evidence, finite = to_cpu(
        masks, mask_boxes(masks), low_res[:, 0].float(), scores[:, 0], pointers.float(), features, evidence, finite
    )
    require(finite)
    # Copies, lest the memory of one object keep the whole batch alive; some batches lie channels last.
    parts = zip(steps, pointers, features, read_evidence(evidence), strict=True)
    memories = [
        Memory(step, conditioning, pointer.clone(), feature.clone(memory_format=torch.contiguous_format), judged)
        for step, pointer, feature, judged in parts
    ]
    said = masks.numpy(), read_boxes(boxes), scores.tolist(), logits.numpy()
    return [ObjectResult(*each) for each in zip(*said, memories, strict=True)]


def _enlarged(low_res: Tensor, hw: tuple[int, int]) -> Tensor:
    """Low-res logits [objects, 1, h, w] as masks of a frame, bool [objects, H, W]."""
    masks = torch.empty((len(low_res), *hw), dtype=torch.bool, device=low_res.device)
    together = masks_at_once(hw, low_res.device)
    for into, logits in zip(torch.split(masks, together), torch.split(low_res, together), strict=True):
        torch.gt(F.interpolate(logits, hw, mode="bilinear", align_corners=False)[:, 0], 0, out=into)
    return masks
