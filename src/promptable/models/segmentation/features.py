"""The features that an image encoder computes from one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from promptable.models.runtime.finite import all_finite, require
from promptable.models.runtime.transfer import to_cpu, to_device

_HW = "hw"


@dataclass(frozen=True)
class ImageFeatures:
    """One encoded picture of height and width ``hw`` in pixels; only the model that encoded it can read ``tensors``."""

    hw: tuple[int, int]
    tensors: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Memory that the tensors hold, in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @cached_property
    def finite(self) -> Tensor:
        """Whether all numbers are finite, bool [] on the tensors' device, for which it does not wait. Computed once."""
        return all_finite(*self.tensors)

    def to_bytes(self) -> bytes:
        """The features as safetensors, exact to the bit. Raises FloatingPointError for NaN and Infinity."""
        *tensors, finite = to_cpu(*self.tensors, self.finite)
        require(finite)
        contiguous = [tensor.contiguous() for tensor in tensors]
        return save({_HW: torch.tensor(self.hw), **_named(contiguous)})

    @classmethod
    def from_bytes(cls, data: bytes, hw: tuple[int, int], like: "ImageFeatures") -> "ImageFeatures":
        """Read features that ``to_bytes`` wrote, onto the device of ``like``.

        ``like`` are features of any picture by the same model. Raises ValueError unless the bytes are finite features
        of a picture of ``hw``, in tensors of the same names, dtypes and shapes as those of ``like``.
        """
        named = _loaded(data)
        found_hw = named.pop(_HW, None)
        if found_hw is None or found_hw.tolist() != list(hw):
            raise ValueError(f"features: expected those of a picture of {list(hw)}, got {found_hw}")
        if _form(named) != _form(_named(like.tensors)):
            raise ValueError(
                f"features: expected {_form(_named(like.tensors))}, got {len(named)} tensors of another form"
            )
        if not all_finite(*named.values()):
            raise ValueError("features: expected finite numbers, got NaN or Infinity")
        tensors = to_device(like.tensors[0].device, [named[name] for name in _named(like.tensors)])
        return cls(hw, tuple(_laid_out(*each) for each in zip(tensors, like.tensors, strict=True)))


def _named(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {str(number): tensor for number, tensor in enumerate(tensors)}


def _laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor with its numbers in the order in memory that those of ``like`` have."""
    return tensor if tensor.stride() == like.stride() else torch.empty_like(like).copy_(tensor)


def _loaded(data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"features: expected safetensors, got {len(data)} bytes: {error!r}") from error


def _form(named: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in named.items()}
