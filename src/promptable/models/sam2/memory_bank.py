"""Objects' memory banks as the tokens that SAM 2's memory attention attends to.

``SAM2Base._prepare_memory_conditioned_features`` does this for objects that were prompted in the same frame and
remember as many steps. Here each object has tokens of its own, so that objects of any age can share a batch.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from promptable.models.runtime.transfer import to_device
from promptable.models.sam2.memory_rules import Attended


@dataclass(frozen=True, eq=False)
class MemoryTokens:
    """One object's memories as N tokens on the model's device: ``values`` and ``positions``, float [N, C] each.

    The last ``pointers`` tokens are those of object pointers, which have no place in the frame.
    """

    values: Tensor
    positions: Tensor
    pointers: int


def memory_tokens(model: SAM2Base, position: Tensor, banks: Sequence[Sequence[Attended]]) -> list[MemoryTokens]:
    """The tokens that each object's step attends to; a bank holds the ageless memories, then the recent ones.

    ``position`` [1, C, h, w] is that of the features. Upstream's order: the features of prompted frames, then of the
    last steps; the pointers of prompted frames, then of the last steps from the newest back. All banks get to the
    model's device in one copy. Objects that remember alike, as those do that were prompted together, share positions.
    """
    features = [_features(bank) for bank in banks]
    parts = [part for bank, maps in zip(banks, features, strict=True) for part in (*maps, *_pointers(model, bank))]
    placed = iter(to_device(model.device, parts))
    each = [(torch.stack([next(placed) for _ in maps]), next(placed), next(placed)) for maps in features]
    positions: dict[Hashable, Tensor] = {}
    for bank, (_, _, ages) in zip(banks, each, strict=True):
        if _ages(bank) not in positions:
            positions[_ages(bank)] = _positions(model, position, bank, ages)
    return [
        _tokens(model, maps, pointers, positions[_ages(bank)])
        for bank, (maps, pointers, _) in zip(banks, each, strict=True)
    ]


def _ages(bank: Sequence[Attended]) -> Hashable:
    """All that the positions of a bank depend on."""
    return tuple((one.ageless, one.steps_ago, one.memory.features is None) for one in bank)


def _tokens(model: SAM2Base, features: Tensor, pointers: Tensor, positions: Tensor) -> MemoryTokens:
    """One object's tokens, from ``features`` [F, C, h, w] and ``pointers`` [P, D]."""
    values = features.flatten(2).transpose(1, 2).flatten(0, 1)
    if not model.use_obj_ptrs_in_encoder:
        return MemoryTokens(values, positions, 0)
    pointed = pointers.view(-1, model.mem_dim)
    return MemoryTokens(torch.cat([values, pointed]), positions, len(pointed))


def _positions(model: SAM2Base, position: Tensor, bank: Sequence[Attended], ages: Tensor) -> Tensor:
    """The positions of one object's tokens, [N, C]; ``ages`` are those of its pointers in steps, float32 [P]."""
    of_features = _feature_positions(model, position, bank)
    if not model.use_obj_ptrs_in_encoder:
        return of_features
    return torch.cat([of_features, _pointer_positions(model, ages)])


def _features(bank: Sequence[Attended]) -> list[Tensor]:
    return [one.memory.features for one in bank if one.memory.features is not None]


def _feature_positions(model: SAM2Base, position: Tensor, bank: Sequence[Attended]) -> Tensor:
    """Encodings of where a feature is in its frame and how many steps ago; a prompted frame counts as the oldest."""
    in_frame = position[0].flatten(1).T
    spatial = [one for one in bank if one.memory.features is not None]
    rows = [model.num_maskmem - 1 if one.ageless else one.steps_ago - 1 for one in spatial]
    return torch.cat([in_frame + model.maskmem_tpos_enc[row, 0] for row in rows])


def _pointers(model: SAM2Base, bank: Sequence[Attended]) -> tuple[Tensor, Tensor]:
    """Pointers [P, D] and how many steps ago they are from, float32 [P]; features may be from longer ago than these."""
    recent = [one for one in bank if not one.ageless and one.steps_ago < model.max_obj_ptrs_in_encoder]
    pointed = [*(one for one in bank if one.ageless), *reversed(recent)]
    ages = torch.tensor([one.steps_ago for one in pointed], dtype=torch.float32)
    return torch.stack([one.memory.pointer for one in pointed]), ages


def _pointer_positions(model: SAM2Base, ages: Tensor) -> Tensor:
    """Encodings of the pointers' ages; a pointer is as many tokens as make up its channels."""
    parts = model.hidden_dim // model.mem_dim
    if not model.add_tpos_enc_to_obj_ptrs:
        return torch.zeros(parts * len(ages), model.mem_dim, device=model.device)
    channels = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else model.mem_dim
    encoded = get_1d_sine_pe(ages / (model.max_obj_ptrs_in_encoder - 1), dim=channels)
    projected: Tensor = model.obj_ptr_tpos_proj(encoded)
    return projected.repeat_interleave(parts, dim=0)
