"""How many masks are enlarged together: their logits take four bytes a pixel, so that many do not fit into memory."""

from math import prod

import torch

_PIXELS_AT_ONCE = 2**26
"""Of masks on a GPU, where each step has a price of its own: 256 MB of logits."""


def masks_at_once(hw: tuple[int, int], device: torch.device) -> int:
    """How many masks of height and width ``hw`` are enlarged together; on a CPU, which gains nothing, one."""
    return 1 if device.type == "cpu" else max(1, _PIXELS_AT_ONCE // prod(hw))
