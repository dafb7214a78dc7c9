"""What SAM 2 remembers of one object in one frame, as a value that can be stored anywhere."""

from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_LAYOUT = {
    "step": (torch.int64, 0),
    "conditioning": (torch.bool, 0),
    "features": (torch.bfloat16, 3),
    "pointer": (torch.float32, 1),
}


@dataclass(frozen=True, eq=False)
class Memory:
    """One object in one frame; never changed, so that any number of steps may start from it.

    ``step`` counts the object's frames from 0, where it was prompted; only differences of steps have a meaning.
    ``conditioning`` is True for a frame that was prompted. ``features`` bfloat16 [C, h, w] is the spatial memory,
    ``pointer`` float32 [D] the object pointer; both lie on the CPU.
    """

    step: int
    conditioning: bool
    features: Tensor
    pointer: Tensor

    def to_bytes(self) -> bytes:
        """The memory in safetensors form, exact to the bit."""
        scalars = {"step": torch.tensor(self.step), "conditioning": torch.tensor(self.conditioning)}
        return save({**scalars, "features": self.features, "pointer": self.pointer})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Memory":
        """Read what ``to_bytes`` wrote. Raises ValueError for anything else."""
        try:
            tensors = load(data)
        except (SafetensorError, KeyError) as error:  # KeyError: a type that PyTorch does not have
            raise ValueError(f"a memory must be in safetensors form: {error}") from error
        found = {name: (tensor.dtype, tensor.ndim) for name, tensor in tensors.items()}
        if found != _LAYOUT:
            raise ValueError(f"a memory holds {_LAYOUT} (type and rank by name), got {found}")
        step = int(tensors["step"])
        if step < 0:
            raise ValueError(f"a memory's step counts from 0, got {step}")
        return cls(step, bool(tensors["conditioning"]), tensors["features"], tensors["pointer"])
