"""Which device a model runs on, and in which numbers."""

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


def autocast(device: str, precision: str) -> torch.autocast:
    """A context for one call of a model: its matrix products in bfloat16, or in float32 as upstream.

    ``device`` is resolved; ``precision`` is ``fp32``, ``bf16``, or ``auto``: bfloat16 on a GPU, float32 on a CPU.
    Make a new context for every call: threads cannot share one.
    """
    return torch.autocast(
        torch.device(device).type, torch.bfloat16, enabled=numbers(device, precision) is torch.bfloat16
    )


def numbers(device: str, precision: str) -> torch.dtype:
    """The type of the results of a model's matrix products, by ``autocast``'s arguments."""
    half = precision == "bf16" or (precision == "auto" and torch.device(device).type == "cuda")
    return torch.bfloat16 if half else torch.float32
