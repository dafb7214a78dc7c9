"""Which device a model runs on."""

import torch

from promptable.models.errors import ModelError


def resolve(device: str) -> str:
    """The device for a setting: ``auto`` is the GPU if there is one, else the CPU.

    Raises ModelError if the setting names a GPU that PyTorch does not see.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device {device!r} is asked for, but PyTorch sees no GPU: check the driver and the container")
    if number and int(number) >= (count := torch.cuda.device_count()):
        raise ModelError(f"device {device!r} is asked for, but PyTorch sees {count} GPUs, counted from cuda:0")
    return device
