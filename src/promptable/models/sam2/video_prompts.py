"""What shows an object in a frame, and its form for ``SAM2Base.track_step``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from promptable.models.runtime.transfer import to_device

BOX_LABELS = (2, 3)
"""How SAM 2 labels a box's two corners among points (``SAM2VideoPredictor.add_new_points_or_box``)."""


@dataclass(frozen=True, eq=False)
class BoxPrompt:
    """A box around the object, float32 [4] in pixels of the frame. Raises ValueError unless it is 4 finite numbers."""

    xyxy: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.xyxy.shape != (4,) or not np.isfinite(self.xyxy).all():
            raise ValueError(f"expected a box of 4 finite numbers, got {self.xyxy.tolist()}")


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """The object's mask, bool [H, W] of the frame. One too small for the model's resolution starts as a lost object."""

    mask: NDArray[np.bool_]


VideoPrompt = BoxPrompt | MaskPrompt
"""What shows an object in the first of its frames, or corrects it in a later one."""


def prompt_inputs(
    prompts: Sequence[VideoPrompt], hw: tuple[int, int], size: int, device: torch.device
) -> dict[str, Any]:
    """``track_step``'s arguments for masks alone, or for boxes alone, in a frame of ``hw``.

    ``size`` is the side of the model's picture. Raises ValueError for a mask of another size than the frame.
    """
    masks = [_of_size(prompt.mask, hw) for prompt in prompts if isinstance(prompt, MaskPrompt)]
    if masks:
        (given,) = to_device(device, [np.stack(masks)])
        return {"point_inputs": None, "mask_inputs": torch.cat([_model_mask(mask, size) for mask in given])}
    boxes = np.stack([prompt.xyxy for prompt in prompts if isinstance(prompt, BoxPrompt)])
    return {"point_inputs": _corners(boxes, hw, size, device), "mask_inputs": None}


def _corners(
    boxes_xyxy: NDArray[np.float32], hw: tuple[int, int], size: int, device: torch.device
) -> dict[str, Tensor]:
    """The corners of boxes [objects, 4] as points at the model's resolution, with labels."""
    height, width = hw
    corners = torch.from_numpy(boxes_xyxy).view(-1, 2, 2)
    points = corners / torch.tensor([width, height]) * size
    labels = torch.tensor(BOX_LABELS, dtype=torch.int32).expand(len(boxes_xyxy), -1)
    points, labels = to_device(device, [points, labels])
    return {"point_coords": points, "point_labels": labels}


def _model_mask(mask: Tensor, size: int) -> Tensor:
    """A mask bool [H, W] as one of 0 and 1 at the model's resolution, float32 [1, 1, S, S]."""
    given = mask[None, None].float()
    return (F.interpolate(given, (size, size), mode="bilinear", align_corners=False, antialias=True) >= 0.5).float()


def _of_size(mask: NDArray[np.bool_], hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask. Raises ValueError unless it has the frame's size."""
    if mask.shape != hw:
        raise ValueError(f"expected a mask of {hw} as the frame, got {mask.shape}")
    return mask
