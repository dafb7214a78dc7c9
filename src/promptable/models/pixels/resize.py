"""Pictures at another size, on a GPU to the very byte as on a CPU.

Pillow and PyTorch resize bytes along one axis after the other, and round to bytes after each. A byte is the sum of some
bytes of its line, each times its share, which is a whole number of 2**-n (Pillow: ``precompute_coeffs`` and
``normalize_coeffs_8bpc`` in libImaging's Resample.c; PyTorch: ``_compute_index_ranges_int16_weights`` in ATen's
UpSampleKernel.cpp). Sums of whole numbers are the same in any order and on any device.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor

from promptable.models.pixels.picture import Picture
from promptable.models.runtime.transfer import to_device

_BITS = 22
"""Bits of a share in Pillow. PyTorch has fewer if the largest share would need more than the 15 of its numbers."""

_SIZES_KEPT = 16

Floats = NDArray[np.floating[Any]]


def resize(image: Picture, hw: tuple[int, int], kernel: Resampling, device: torch.device) -> Tensor:
    """A picture, uint8 RGB [H, W, 3], at height and width ``hw`` on a device: uint8 [h, w, 3].

    ``kernel`` is BILINEAR or BICUBIC. On a CPU it is Pillow that resizes. A GPU gets the original picture, and in the
    same copy the places and shares of both axes, unless it has them from an earlier picture.
    """
    if device.type == "cpu":
        return torch.from_numpy(np.array(Image.fromarray(np.asarray(image)).resize(hw[::-1], kernel)))
    return _by_shares(image, hw, kernel, device, _BITS, _pillow_order(image.shape[:2], hw))


def resize_as_pytorch(image: Picture, hw: tuple[int, int], device: torch.device) -> Tensor:
    """As ``resize``, bilinear, on any device the same bytes as from PyTorch's ``interpolate`` on a CPU with AVX2."""
    return _by_shares(image, hw, Resampling.BILINEAR, device, None, (1, 0))


@dataclass(frozen=True)
class _Line:
    """How the n pixels of a new line are made from those of an old one.

    ``places`` int32 [K, n] are the old pixels in each new one, ``shares`` int32 [K, n] their shares in units of
    2**-``bits``, which are 0 beyond the line's end.
    """

    places: NDArray[np.int32] | Tensor
    shares: NDArray[np.int32] | Tensor
    bits: int


_known: LRUCache[Hashable, Sequence[_Line]] = LRUCache(_SIZES_KEPT)
"""The lines of the latest changes of size, on their device: the pictures of a task are of one size."""
_lock = Lock()


def _by_shares(
    image: Picture,
    hw: tuple[int, int],
    kernel: Resampling,
    device: torch.device,
    bits: int | None,
    order: Sequence[int],
) -> Tensor:
    """The picture resized along both axes, in this ``order``; ``bits`` as for ``_line``."""
    key = (*image.shape[:2], *hw, kernel, device, bits)
    with _lock:
        known = _known.get(key)
    lines = known or [_line(image.shape[axis], hw[axis], kernel, bits) for axis in (0, 1)]
    pixels, *there = to_device(device, [image, *(each for line in lines for each in (line.places, line.shares))])
    if known is None:
        copies = [each.clone() for each in there]  # not views, which would keep the picture in memory
        with _lock:
            _known[key] = [replace(lines[i], places=copies[2 * i], shares=copies[2 * i + 1]) for i in (0, 1)]
    for axis in order:
        if pixels.shape[axis] != hw[axis]:
            pixels = _along(pixels, axis, there[2 * axis], there[2 * axis + 1], lines[axis].bits)
    return pixels


def _along(pixels: Tensor, axis: int, places: Tensor, shares: Tensor, bits: int) -> Tensor:
    """uint8 [H, W, 3] resized along one axis, by the ``places`` and ``shares`` of a ``_Line``."""
    size = [*pixels.shape]
    size[axis] = places.shape[1]
    total = torch.full(size, 1 << (bits - 1), dtype=torch.int32, device=pixels.device)
    for place, share in zip(places, shares, strict=True):
        total += pixels.index_select(axis, place) * share.view(-1, *[1] * (2 - axis))
    return (total >> bits).clamp_(0, 255).to(torch.uint8)


def _pillow_order(before: tuple[int, ...], after: tuple[int, int]) -> tuple[int, int]:
    """Which axis comes first: for Pillow 13 the width, but where a picture loses far more of its height."""
    lost_height, lost_width = before[0] - after[0], before[1] - after[1]
    return (0, 1) if lost_height > max(0, 2 * lost_width) else (1, 0)


def _line(before: int, after: int, kernel: Resampling, bits: int | None) -> _Line:
    """A line of ``after`` pixels from one of ``before``; ``bits`` None: as many as PyTorch has."""
    weigh, reach = _KERNELS[kernel]
    scale = before / after
    wide = max(scale, 1.0)
    centre = (np.arange(after) + 0.5) * scale
    first = np.maximum(centre - reach * wide + 0.5, 0).astype(np.int32)
    end = np.minimum(centre + reach * wide + 0.5, before).astype(np.int32)
    places = first + np.arange((end - first).max(), dtype=np.int32)[:, None]
    weights = np.where(places < end, weigh(np.abs((places - centre + 0.5) * (1.0 / wide))), 0.0)
    weights /= weights.cumsum(0)[-1]
    if bits is None:
        bits = max(bits for bits in range(1, _BITS + 1) if int(weights.max() * (1 << bits) + 0.5) < 1 << 15)
    exact = weights * (1 << bits)
    return _Line(np.minimum(places, before - 1), np.trunc(exact + np.copysign(0.5, exact)).astype(np.int32), bits)


def _triangle(distance: Floats) -> Floats:
    return np.asarray(np.maximum(1.0 - distance, 0.0))


def _cubic(distance: Floats) -> Floats:
    """The cubic convolution of Keys (1981), with a = -0.5."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * -0.5
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


_KERNELS: Mapping[Resampling, tuple[Callable[[Floats], Floats], int]] = MappingProxyType(
    {Resampling.BILINEAR: (_triangle, 1), Resampling.BICUBIC: (_cubic, 2)}
)
"""For each kernel the weight of an old pixel by its distance in new pixels, and the distance from which it is 0."""
