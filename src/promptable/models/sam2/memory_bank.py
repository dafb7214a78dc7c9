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

from promptable.models.sam2.memory_rules import Attended


@dataclass(frozen=True, eq=False)
class MemoryTokens:
    """One object's memories as N tokens on the model's device: ``values`` and ``positions``, float [N, C] each.

    The last ``pointers`` tokens are those of object pointers, which have no place in the frame.
    """

    values: Tensor
    positions: Tensor
    pointers: int


def memory_tokens(model: SAM2Base, position: Tensor, bank: Sequence[Attended]) -> MemoryTokens:
    """The tokens that a step attends to; ``bank`` holds the ageless and then the recent, oldest first.

    ``position`` [1, C, h, w] is that of the features. Upstream's order: the features of prompted frames, then of the
    last steps; the pointers of prompted frames, then of the last steps from the newest back.
    """
    features, places = _features(model, bank), _feature_positions(model, position, bank)
    if not model.use_obj_ptrs_in_encoder:
        return MemoryTokens(features, places, 0)
    recent = [one for one in bank if not one.ageless]
    pointed = [*(one for one in bank if one.ageless), *reversed(recent)]
    pointers, moments = _pointers(model, pointed), _pointer_positions(model, [one.steps_ago for one in pointed])
    return MemoryTokens(torch.cat([features, pointers]), torch.cat([places, moments]), len(pointers))


def _features(model: SAM2Base, bank: Sequence[Attended]) -> Tensor:
    features = [one.memory.features for one in bank if one.memory.features is not None]
    return torch.stack(features).to(model.device).flatten(2).transpose(1, 2).flatten(0, 1)


def _feature_positions(model: SAM2Base, position: Tensor, bank: Sequence[Attended]) -> Tensor:
    """Where in the frame, and how many steps ago; a prompted frame counts as the oldest."""
    in_frame = position[0].flatten(1).T
    spatial = [one for one in bank if one.memory.features is not None]
    rows = [model.num_maskmem - 1 if one.ageless else one.steps_ago - 1 for one in spatial]
    return torch.cat([in_frame + model.maskmem_tpos_enc[row, 0] for row in rows])


def _pointers(model: SAM2Base, bank: Sequence[Attended]) -> Tensor:
    """Each pointer is as many tokens as make up its channels."""
    return torch.stack([one.memory.pointer for one in bank]).to(model.device).view(-1, model.mem_dim)


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
