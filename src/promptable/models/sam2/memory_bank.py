"""Objects' memory banks as the tokens that SAM 2's memory attention attends to.

``SAM2Base._prepare_memory_conditioned_features`` does this for objects that were prompted in the same frame and
remember as many steps. Here each object has tokens of its own, so that objects of any age can share a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from promptable.models.sam2.memory import Memory


@dataclass(frozen=True, eq=False)
class MemoryTokens:
    """One object's memories as N tokens on the model's device: ``values`` and ``positions``, float [N, C] each.

    The last ``pointers`` tokens are those of object pointers, which have no place in the frame.
    """

    values: Tensor
    positions: Tensor
    pointers: int


def memory_tokens(model: SAM2Base, position: Tensor, step: int, bank: Sequence[Memory]) -> MemoryTokens:
    """The tokens that an object's ``step`` attends to; ``bank`` is oldest first.

    ``position`` [1, C, h, w] is that of the features. Upstream's order: the features of prompted frames, then of the
    last steps; the pointers of prompted frames, then of the last steps from the newest back.
    """
    spatial = _with_features(model, step, bank)
    features, places = _features(model, spatial), _feature_positions(model, position, step, spatial)
    if not model.use_obj_ptrs_in_encoder:
        return MemoryTokens(features, places, 0)
    pointed = _with_pointers(model, step, bank)
    pointers, moments = _pointers(model, pointed), _pointer_positions(model, [step - one.step for one in pointed])
    return MemoryTokens(torch.cat([features, pointers]), torch.cat([places, moments]), len(pointers))


def _with_features(model: SAM2Base, step: int, bank: Sequence[Memory]) -> list[Memory]:
    recent = [memory for memory in bank if not memory.conditioning and step - memory.step < model.num_maskmem]
    return [*_prompted(bank), *recent]


def _with_pointers(model: SAM2Base, step: int, bank: Sequence[Memory]) -> list[Memory]:
    pointers = model.max_obj_ptrs_in_encoder
    recent = [memory for memory in bank if not memory.conditioning and step - memory.step < pointers]
    return [*_prompted(bank), *reversed(recent)]


def _prompted(bank: Sequence[Memory]) -> list[Memory]:
    return [memory for memory in bank if memory.conditioning]


def _features(model: SAM2Base, bank: Sequence[Memory]) -> Tensor:
    maps = torch.stack([memory.features for memory in bank if memory.features is not None]).to(model.device)
    return maps.flatten(2).transpose(1, 2).flatten(0, 1)


def _feature_positions(model: SAM2Base, position: Tensor, step: int, bank: Sequence[Memory]) -> Tensor:
    """Where in the frame, and how many steps ago; a prompted frame counts as the oldest."""
    in_frame = position[0].flatten(1).T
    rows = [model.num_maskmem - 1 if memory.conditioning else step - memory.step - 1 for memory in bank]
    return torch.cat([in_frame + model.maskmem_tpos_enc[row, 0] for row in rows])


def _pointers(model: SAM2Base, bank: Sequence[Memory]) -> Tensor:
    """Each pointer is as many tokens as make up its channels."""
    return torch.stack([memory.pointer for memory in bank]).to(model.device).view(-1, model.mem_dim)


def _pointer_positions(model: SAM2Base, ages: Sequence[int]) -> Tensor:
    """How many steps ago each pointer is from."""
    parts = model.hidden_dim // model.mem_dim
    if not model.add_tpos_enc_to_obj_ptrs:
        return torch.zeros(parts * len(ages), model.mem_dim, device=model.device)
    channels = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else model.mem_dim
    steps_ago = torch.tensor(ages, device=model.device)
    encoded = get_1d_sine_pe(steps_ago / (model.max_obj_ptrs_in_encoder - 1), dim=channels)
    projected: Tensor = model.obj_ptr_tpos_proj(encoded)
    return projected.repeat_interleave(parts, dim=0)
