"""How Swin cuts a picture into windows: indices and masks that are the same for all pictures of a size."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from promptable.models.runtime.transfer import to_device

ALIGNMENT = 8
"""CUDA's fused attention wants masks whose rows begin at multiples of so many numbers; it copies all others."""

_PARTS = 6


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
    """The stages of a picture of ``hw`` patches. Stages of the same ``hw`` are equal."""

    hw: tuple[int, int]
    maps: Sequence[Stage] = field(compare=False)


def stages_of(hw: tuple[int, int], count: int, side: int, device: torch.device) -> Stages:
    """``count`` stages, each with half the height and width of the one before, in windows of ``side`` x ``side``."""
    sizes = [hw]
    for _ in range(count - 1):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    parts = [part for each in sizes for part in _parts(each, side)]
    there = to_device(device, parts)
    return Stages(hw, [_stage(each, there[_PARTS * i : _PARTS * (i + 1)]) for i, each in enumerate(sizes)])


def _stage(hw: tuple[int, int], parts: Sequence[Tensor]) -> Stage:
    """The stage of a map of ``hw`` from ``_parts`` on its device."""
    return Stage(hw, Windows(parts[0], parts[1], None), Windows(parts[2], parts[3], parts[4]), parts[5])


def _parts(hw: tuple[int, int], side: int) -> list[Tensor]:
    """All tensors of a stage: two of its windows, three of those that are shifted, and ``merged``."""
    pixels = torch.arange(hw[0] * hw[1]).view(hw)
    even, filled, shift = _filled(pixels, 2), _filled(pixels, side), side // 2
    quarters = [even[row::2, column::2].flatten() for column in (0, 1) for row in (0, 1)]
    merged = torch.stack(quarters, 1).flatten()
    straight, shifted = (_windows(filled, pixels.numel(), side, by) for by in (0, shift))
    return [*straight, *shifted, _apart(filled, side, shift), merged]


def _windows(filled: Tensor, count: int, side: int, shift: int) -> tuple[Tensor, Tensor]:
    """``pixels`` and ``places`` of the windows of a filled map of ``count`` pixels, moved up and left by ``shift``."""
    indices = _partitioned(filled.roll((-shift, -shift), (0, 1)), side)
    places = torch.empty(count + 1, dtype=torch.int64)
    places[indices] = torch.arange(indices.numel()).view_as(indices)
    return indices.flatten(), places[:count]


def _apart(filled: Tensor, side: int, shift: int) -> Tensor:
    """``apart``, by upstream's parts of the shifted map: what wrapped around, the rest of its windows, all others."""
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
