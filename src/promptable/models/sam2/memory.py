"""What SAM 2 remembers of one object in one frame, as a value that can be stored anywhere."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from promptable.models.sam2.evidence import GIVEN, Evidence, read_evidence

_Layout = Mapping[str, tuple[torch.dtype, int]]
"""Type and rank of each tensor by its name."""

_POINTER: _Layout = {
    **{"step": (torch.int64, 0), "conditioning": (torch.bool, 0), "distractor": (torch.bool, 0)},
    **{"evidence": (torch.float64, 1), "pointer": (torch.float32, 1)},
}
_FEATURES: _Layout = {"features": (torch.bfloat16, 3)}

_OBJECTS_BYTES = 1_500
"""What a stored memory takes beside its numbers: Python's objects, PyTorch's, and its place in a store."""


@dataclass(frozen=True, eq=False)
class Memory:
    """One object in one frame; never changed, so that any number of steps may start from it.

    ``step`` counts the object's frames from 0, where it was prompted; only differences of steps have a meaning.
    ``conditioning`` is True for a frame that was prompted. ``pointer`` float32 [D] is the object pointer, ``features``
    bfloat16 [C, h, w] the spatial memory; both lie contiguous on the CPU. The features are hundreds of times larger,
    and needed for fewer steps: they are None in a memory that has outlived them. ``evidence`` decides whether a rule
    counts a frame that was not prompted; ``distractor`` is True for a frame in the distractor memory.
    """

    step: int
    conditioning: bool
    pointer: Tensor
    features: Tensor | None
    evidence: Evidence = GIVEN
    distractor: bool = False

    @property
    def pointer_nbytes(self) -> int:
        """The bytes of CPU memory that all but the features take."""
        return _nbytes(self.pointer)

    def pointer_bytes(self) -> bytes:
        """All but the features in safetensors form, exact to the bit."""
        scalars = {name: torch.tensor(getattr(self, name)) for name in ("step", "conditioning", "distractor")}
        evidence = torch.tensor(astuple(self.evidence), dtype=torch.float64)
        return save({**scalars, "evidence": evidence, "pointer": self.pointer})

    @classmethod
    def from_pointer_bytes(cls, data: bytes) -> "Memory":
        """Read what ``pointer_bytes`` wrote: a memory without features.

        Raises ValueError for anything else, and for numbers that are not finite.
        """
        tensors = _read(data, _POINTER)
        step = int(tensors["step"])
        if step < 0:
            raise ValueError(f"a memory's step counts from 0, got {step}")
        evidence, distractor = _evidence(tensors["evidence"]), bool(tensors["distractor"])
        return cls(step, bool(tensors["conditioning"]), tensors["pointer"], None, evidence, distractor)


@dataclass(frozen=True, eq=False)
class MemoryFeatures:
    """The features of one memory alone, bfloat16 [C, h, w], as a value that can be stored."""

    values: Tensor

    @property
    def nbytes(self) -> int:
        """The bytes of CPU memory that they take."""
        return _nbytes(self.values)

    def to_bytes(self) -> bytes:
        """The features in safetensors form, exact to the bit."""
        return save({"features": self.values.contiguous()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "MemoryFeatures":
        """Read what ``to_bytes`` wrote. Raises ValueError for anything else, and for numbers that are not finite."""
        return cls(_read(data, _FEATURES)["features"])


def _nbytes(tensor: Tensor) -> int:
    """Bytes of a tensor, and of the larger one that it keeps alive if it is a part of that."""
    return tensor.untyped_storage().nbytes() + _OBJECTS_BYTES


def _evidence(values: Tensor) -> Evidence:
    if len(values) != len(fields(Evidence)):
        raise ValueError(f"a memory's evidence is {len(fields(Evidence))} numbers, got {len(values)}")
    return read_evidence(values[None])[0]


def _read(data: bytes, layout: _Layout) -> dict[str, Tensor]:
    try:
        tensors = load(data)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that PyTorch does not have
        raise ValueError(f"a memory must be in safetensors form: {error}") from error
    found = {name: (tensor.dtype, tensor.ndim) for name, tensor in tensors.items()}
    if found != layout:
        raise ValueError(f"a memory holds {layout} (type and rank by name), got {found}")
    if not all(_finite(tensor) for tensor in tensors.values() if tensor.is_floating_point()):
        raise ValueError("a memory holds finite numbers, got NaN or Infinity")
    return tensors


def _finite(tensor: Tensor) -> bool:
    """Whether the least and the greatest number are finite; NaN is both. Several times faster than to look at each."""
    return tensor.numel() == 0 or bool(torch.stack(tensor.aminmax()).isfinite().all())
