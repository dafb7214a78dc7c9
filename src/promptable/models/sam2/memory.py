"""What SAM 2 remembers of one object in one frame, as a value that can be stored anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_Layout = Mapping[str, tuple[torch.dtype, int]]
"""Type and rank of each tensor by its name."""

_POINTER: _Layout = {"step": (torch.int64, 0), "conditioning": (torch.bool, 0), "pointer": (torch.float32, 1)}
_FEATURES: _Layout = {"features": (torch.bfloat16, 3)}


@dataclass(frozen=True)
class Retention:
    """How many steps back a step attends: to a memory's ``features``, and to anything of it.

    The prompted frame, step 0, is never too old.
    """

    features: int
    anything: int

    def needs(self, age: int, conditioning: bool) -> bool:
        """Whether a step can attend to a memory that is ``age`` steps older."""
        return conditioning or age < self.anything

    def needs_features(self, age: int, conditioning: bool) -> bool:
        """Whether a step attends to the features of a memory that is ``age`` steps older, or only at its pointer."""
        return conditioning or age < self.features

    def steps(self, newest: int) -> list[int]:
        """Which of an object's steps 0 to ``newest`` the next one can attend to, in their order."""
        return [0, *range(max(1, newest - self.anything + 2), newest + 1)]


@dataclass(frozen=True, eq=False)
class Memory:
    """One object in one frame; never changed, so that any number of steps may start from it.

    ``step`` counts the object's frames from 0, where it was prompted; only differences of steps have a meaning.
    ``conditioning`` is True for a frame that was prompted. ``pointer`` float32 [D] is the object pointer, ``features``
    bfloat16 [C, h, w] the spatial memory; both lie on the CPU. The features are hundreds of times larger, and needed
    for fewer steps: they are None in a memory that has outlived them.
    """

    step: int
    conditioning: bool
    pointer: Tensor
    features: Tensor | None

    def pointer_bytes(self) -> bytes:
        """All but the features in safetensors form, exact to the bit."""
        scalars = {"step": torch.tensor(self.step), "conditioning": torch.tensor(self.conditioning)}
        return save({**scalars, "pointer": self.pointer})

    def features_bytes(self) -> bytes:
        """The features in safetensors form, exact to the bit. Raises ValueError where there are none."""
        if self.features is None:
            raise ValueError(f"the memory of step {self.step} has outlived its features")
        return save({"features": self.features})

    @classmethod
    def from_bytes(cls, pointer: bytes, features: bytes | None) -> "Memory":
        """Read what ``pointer_bytes`` and ``features_bytes`` wrote.

        Raises ValueError for anything else, and for numbers that are not finite.
        """
        tensors = _read(pointer, _POINTER)
        step = int(tensors["step"])
        if step < 0:
            raise ValueError(f"a memory's step counts from 0, got {step}")
        spatial = None if features is None else _read(features, _FEATURES)["features"]
        return cls(step, bool(tensors["conditioning"]), tensors["pointer"], spatial)


def _read(data: bytes, layout: _Layout) -> dict[str, Tensor]:
    try:
        tensors = load(data)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that PyTorch does not have
        raise ValueError(f"a memory must be in safetensors form: {error}") from error
    found = {name: (tensor.dtype, tensor.ndim) for name, tensor in tensors.items()}
    if found != layout:
        raise ValueError(f"a memory holds {layout} (type and rank by name), got {found}")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise ValueError("a memory holds finite numbers, got NaN or Infinity")
    return tensors
