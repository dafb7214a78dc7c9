"""Maps whose channels lie last in memory, as everything that reads them as tokens wants them."""

import torch
from torch import nn


def channels_last(module: nn.Module) -> None:
    """Let the convolutions of a module on a CPU give their maps channels last, whatever they get.

    On a GPU nothing changes: there cuDNN's convolutions of few or separate channels may be slower so.
    """
    for weight in module.parameters():
        if weight.is_cpu and weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
