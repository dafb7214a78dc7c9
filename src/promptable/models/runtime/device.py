"""Which device a model runs on."""

import torch


def resolve(device: str) -> str:
    """The device that a setting means: ``auto`` is the GPU if there is one, else the CPU.

    Raises ValueError where CUDA is asked for and PyTorch sees no GPU.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} is asked for, but PyTorch sees no GPU: check the driver and the container")
    return device
