"""How Swin cuts a picture into windows: indices and masks that are the same for all pictures of a size."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from promptable.models.runtime.transfer import to_device

ALIGNMENT = 8
"""CUDA's fused attention wants masks whose rows begin at multiples of so many numbers; it copies all others."""


@dataclass(frozen=True)
class Windows:
    """The windows of a map of n pixels, W of them with N places each, on the model's device.

    ``pixels`` int64 [W * N] says which pixel is at each place, n where there is none, ``places`` int64 [n] where each
    pixel is. ``apart`` bool [W, 1, N, N], its last axis filled up to a multiple of ``ALIGNMENT``, says which two places
    are neighbours only because the map wraps around, so that neither attends to the other; None if it does not.
    """

    pixels: Tensor
    places: Tensor
    apart: Tensor | None


@dataclass(frozen=True)
class Stage:
    """The map of one stage: its height and width, its windows, those shifted by half of their side, and ``merged``
    int64 [4 * m], the four pixels that become each one of the next stage, n where there is none."""

    hw: tuple[int, int]
    straight: Windows
    shifted: Windows
    merged: Tensor


@dataclass(frozen=True)
class Stages:
    """The stages of a picture whose patches are so many, in height and width. Those of as many are equal."""

    hw: tuple[int, int]
    maps: Sequence[Stage] = field(compare=False)


def stages_of(hw: tuple[int, int], count: int, side: int, device: torch.device) -> Stages:
    """So many stages, each with half the height and width of the one before, in windows of ``side`` x ``side``."""
    sizes = [hw]
    for _ in range(count - 1):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return Stages(hw, [_stage(each, side, device) for each in sizes])


def _stage(hw: tuple[int, int], side: int, device: torch.device) -> Stage:
    pixels = torch.arange(hw[0] * hw[1]).view(hw)
    even = _filled(pixels, 2)
    quarters = [even[row::2, column::2].flatten() for column in (0, 1) for row in (0, 1)]
    (merged,) = to_device(device, [torch.stack(quarters, 1).flatten()])
    return Stage(hw, _windows(pixels, side, 0, device), _windows(pixels, side, side // 2, device), merged)


def _windows(pixels: Tensor, side: int, shift: int, device: torch.device) -> Windows:
    """The windows of a map of these pixels [h, w], moved up and to the left by ``shift``."""
    count, filled = pixels.numel(), _filled(pixels, side)
    indices = _partitioned(filled.roll((-shift, -shift), (0, 1)), side)
    places = torch.empty(count + 1, dtype=torch.int64)
    places[indices] = torch.arange(indices.numel()).view_as(indices)
    parts = [indices.flatten(), places[:count], *([_apart(filled, side, shift)] if shift else [])]
    on_device = to_device(device, parts)
    return Windows(on_device[0], on_device[1], on_device[2] if shift else None)


def _apart(filled: Tensor, side: int, shift: int) -> Tensor:
    """By upstream's parts of the shifted map: what wrapped around, the rest of its windows, and all others."""
    rows, columns = (_bands(length, side, shift) for length in filled.shape)
    part = _partitioned(3 * rows[:, None] + columns, side)
    apart = part[:, None, :, None] != part[:, None, None, :]
    return functional.pad(apart, (0, -apart.shape[-1] % ALIGNMENT))


def _bands(length: int, side: int, shift: int) -> Tensor:
    """Along one axis 2 for what wrapped around, 1 for the rest of its windows, 0 for all others."""
    places = torch.arange(length)
    return (places >= length - side).int() + (places >= length - shift).int()


def _partitioned(tensor: Tensor, side: int) -> Tensor:
    """A map [h, w] in windows [W, N]."""
    height, width = tensor.shape
    windows = tensor.view(height // side, side, width // side, side).transpose(1, 2)
    return windows.reshape(-1, side * side)


def _filled(pixels: Tensor, multiple: int) -> Tensor:
    """The pixels [h, w], with n in further rows and columns up to a multiple of this number."""
    height, width = pixels.shape
    return functional.pad(pixels, (0, -width % multiple, 0, -height % multiple), value=pixels.numel())
