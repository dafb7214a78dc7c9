"""What objects remember, as the keys of SAM 2's memory attention.

``SAM2Base._prepare_memory_conditioned_features`` does this for objects that were prompted in the same frame. Here each
may have been prompted in another one: that changes nothing but the position of that frame's pointer.
"""

from collections.abc import Iterable, Sequence

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from promptable.models.sam2_memory import Memory

Layout = tuple[int, ...]
"""How many memories of an object are of prompted frames, and how many steps ago the others were."""


def layout(step: int, bank: Iterable[Memory]) -> Layout:
    """The layout of what a step attends to; objects of one layout can share a batch."""
    prompted = [memory.conditioning for memory in bank]
    return sum(prompted), *(step - memory.step for memory in bank if not memory.conditioning)


def remembered(
    model: SAM2Base, position: Tensor, steps: Sequence[int], banks: Sequence[Sequence[Memory]]
) -> tuple[Tensor, Tensor, int]:
    """Memories and their positions, [tokens, objects, channels], and how many of the last tokens are pointers.

    ``banks`` have one layout, each oldest first; ``position`` [1, C, h, w] is that of the features. Upstream's order:
    the features of prompted frames, then of the last steps; the pointers of prompted frames, then of the last steps
    from the newest back.
    """
    spatial = [_with_features(model, *each) for each in zip(steps, banks, strict=True)]
    features, places = _features(model, spatial), _feature_positions(model, position, steps[0], spatial[0])
    places = places.expand(-1, len(banks), -1)
    if not model.use_obj_ptrs_in_encoder:
        return features, places, 0
    pointed = [_with_pointers(model, *each) for each in zip(steps, banks, strict=True)]
    ages = [[step - memory.step for memory in bank] for step, bank in zip(steps, pointed, strict=True)]
    pointers, moments = _pointers(model, pointed), _pointer_positions(model, ages)
    return torch.cat([features, pointers]), torch.cat([places, moments]), len(pointers)


def _with_features(model: SAM2Base, step: int, bank: Sequence[Memory]) -> list[Memory]:
    recent = [memory for memory in bank if not memory.conditioning and step - memory.step < model.num_maskmem]
    return [*_prompted(bank), *recent]


def _with_pointers(model: SAM2Base, step: int, bank: Sequence[Memory]) -> list[Memory]:
    pointers = model.max_obj_ptrs_in_encoder
    recent = [memory for memory in bank if not memory.conditioning and step - memory.step < pointers]
    return [*_prompted(bank), *reversed(recent)]


def _prompted(bank: Sequence[Memory]) -> list[Memory]:
    return [memory for memory in bank if memory.conditioning]


def _features(model: SAM2Base, banks: Sequence[Sequence[Memory]]) -> Tensor:
    maps = [torch.stack([memory.features for memory in bank if memory.features is not None]) for bank in banks]
    stacked = torch.stack(maps, 1).to(model.device)
    return stacked.flatten(3).permute(0, 3, 1, 2).flatten(0, 1)


def _feature_positions(model: SAM2Base, position: Tensor, step: int, bank: Sequence[Memory]) -> Tensor:
    """Where in the frame, and how many steps ago; a prompted frame counts as the oldest."""
    in_frame = position.flatten(2).permute(2, 0, 1)
    rows = [model.num_maskmem - 1 if memory.conditioning else step - memory.step - 1 for memory in bank]
    return torch.cat([in_frame + model.maskmem_tpos_enc[row] for row in rows])


def _pointers(model: SAM2Base, banks: Sequence[Sequence[Memory]]) -> Tensor:
    """Each pointer is as many tokens as make up its channels."""
    stacked = torch.stack([torch.stack([memory.pointer for memory in bank]) for bank in banks], 1).to(model.device)
    return stacked.view(*stacked.shape[:2], -1, model.mem_dim).permute(0, 2, 1, 3).flatten(0, 1)


def _pointer_positions(model: SAM2Base, ages: Sequence[Sequence[int]]) -> Tensor:
    """How many steps ago, by object and pointer."""
    steps_ago, parts = torch.tensor(ages, device=model.device).T, model.hidden_dim // model.mem_dim
    if not model.add_tpos_enc_to_obj_ptrs:
        return torch.zeros(parts * len(steps_ago), len(ages), model.mem_dim, device=model.device)
    channels = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else model.mem_dim
    encoded = get_1d_sine_pe(steps_ago / (model.max_obj_ptrs_in_encoder - 1), dim=channels)
    projected: Tensor = model.obj_ptr_tpos_proj(encoded)
    return projected.repeat_interleave(parts, dim=0)
