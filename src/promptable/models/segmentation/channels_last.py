"""Maps whose channels lie last in memory, as everything that reads them as tokens wants them."""

import torch
from torch import nn


def channels_last(module: nn.Module) -> None:
    """Let the convolutions of a module on a CPU give their maps channels last, whatever they get.

    On a GPU nothing changes: there cuDNN's convolutions of few or separate channels may be slower so.
    """
    if all(parameter.is_cpu for parameter in module.parameters()):
        module.to(memory_format=torch.channels_last)
