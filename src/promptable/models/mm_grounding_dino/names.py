"""The same weights under two names: upstream's, which our Grounding DINO has, and those of the published files.

MM-Grounding-DINO and LLMDet are published for transformers' ``MMGroundingDinoForObjectDetection``. Each of upstream's
tensors is one published tensor, or three of them joined: that of queries, of keys and of values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

_QKV = ("query", "key", "value")
_NOT_READ = re.compile(
    r".*\.relative_position_index|.*\.swin\.layernorm\..*|(model\.decoder\.)?class_embed\..*|(model\.decoder\.)?bbox_embed\..*"
    r"|model\.encoder_output_class_embed\.bias|model\.text_backbone\.(pooler\..*|embeddings\.position_ids)"
)
"""Published tensors that are not read: constants, a norm that nothing uses, second copies of heads, BERT's pooler, and
a bias that does not change which pixels become queries."""
_NOT_PUBLISHED = re.compile(r".*\.relative_position_index|bert\.pooler\..*")
"""Upstream's tensors that are not published: constants, and a part of BERT that is never run."""


@dataclass(frozen=True)
class _Part:
    """A part of the network: a pattern of upstream's names, the published prefix, and what its members are called."""

    upstream: str
    published: str
    members: Mapping[str, str] = field(default_factory=dict)


_SWIN = "model.backbone.conv_encoder.model"
_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "attn": "attention.self",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
_PATCHES = {"proj": "patch_embeddings.projection"}
_ENCODER_LAYER = {"norm1": "self_attn_layer_norm", "norm2": "final_layer_norm", "linear1": "fc1", "linear2": "fc2"}
_TEXT_LAYER = {"norm1": "layer_norm_before", "norm2": "layer_norm_after", "linear1": "fc1", "linear2": "fc2"}
_FUSION_LAYER = {
    "gamma_v": "vision_param",
    "gamma_l": "text_param",
    "layer_norm_v": "layer_norm_vision",
    "layer_norm_l": "layer_norm_text",
    "attn.v_proj": "attn.vision_proj",
    "attn.l_proj": "attn.text_proj",
    "attn.values_v_proj": "attn.values_vision_proj",
    "attn.values_l_proj": "attn.values_text_proj",
    "attn.out_v_proj": "attn.out_vision_proj",
    "attn.out_l_proj": "attn.out_text_proj",
}
_DECODER_LAYER = {
    "cross_attn": "encoder_attn",
    "norm1": "encoder_attn_layer_norm",
    "ca_text": "encoder_attn_text",
    "catext_norm": "encoder_attn_text_layer_norm",
    "norm2": "self_attn_layer_norm",
    "norm3": "final_layer_norm",
    "linear1": "fc1",
    "linear2": "fc2",
}
_TOP = {
    "tgt_embed": "query_position_embeddings",
    "enc_out_bbox_embed": "encoder_output_bbox_embed",
    "decoder.norm": "decoder.layer_norm",
    "decoder.ref_point_head": "decoder.reference_points_head",
}
_PARTS = (
    _Part(r"backbone\.0\.patch_embed\.", rf"{_SWIN}.embeddings.", _PATCHES),
    _Part(r"backbone\.0\.layers\.(\d+)\.blocks\.(\d+)\.", rf"{_SWIN}.encoder.layers.\1.blocks.\2.", _BLOCK),
    _Part(r"backbone\.0\.layers\.", rf"{_SWIN}.encoder.layers."),
    _Part(r"bert\.", "model.text_backbone."),
    _Part(r"feat_map\.", "model.text_projection."),
    _Part(r"input_proj\.", "model.input_proj_vision."),
    _Part(r"transformer\.encoder\.layers\.(\d+)\.", r"model.encoder.layers.\1.deformable_layer.", _ENCODER_LAYER),
    _Part(r"transformer\.encoder\.text_layers\.(\d+)\.", r"model.encoder.layers.\1.text_enhancer_layer.", _TEXT_LAYER),
    _Part(r"transformer\.encoder\.fusion_layers\.(\d+)\.", r"model.encoder.layers.\1.fusion_layer.", _FUSION_LAYER),
    _Part(r"transformer\.decoder\.layers\.(\d+)\.", r"model.decoder.layers.\1.", _DECODER_LAYER),
    _Part(r"(?:transformer\.decoder\.)?((?:bbox|class)_embed)\.", r"\1."),
    _Part(r"transformer\.", "model.", _TOP),
)


def translated(published: Mapping[str, Tensor], upstream: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict as one of upstream's, whose own ``upstream`` gives the names and constants.

    Raises ValueError that names a tensor which is missing, or which nothing reads.
    """
    read: set[str] = set()
    state = {}
    for name, constant in upstream.items():
        if _NOT_PUBLISHED.fullmatch(name):
            state[name] = constant
            continue
        sources = [_existing(source, published) for source in published_names(name)]
        read.update(sources)
        state[name] = (
            torch.cat([published[source] for source in sources]) if len(sources) > 1 else published[sources[0]]
        )
    if spare := [name for name in published if name not in read and not _NOT_READ.fullmatch(name)]:
        raise ValueError(f"unexpected tensors: {', '.join(spare)}")
    return state


def published_names(upstream: str) -> list[str]:
    """What one of upstream's tensors is called: one name, or those of queries, keys and values."""
    if swin_norm := re.fullmatch(r"backbone\.0\.norm(\d+)\.(\w+)", upstream):
        return [f"{_SWIN}.hidden_states_norms.stage{int(swin_norm[1]) + 1}.{swin_norm[2]}"]
    part, prefix = next((part, found) for part in _PARTS if (found := re.match(part.upstream, upstream)))
    member = upstream[prefix.end() :]
    longest = max((old for old in part.members if member == old or member.startswith(f"{old}.")), key=len, default="")
    name = prefix.expand(part.published) + part.members.get(longest, "") + member.removeprefix(longest)
    return [
        re.sub(r"in_proj_|qkv\.", f"{one}.", name) for one in (_QKV if re.search(r"in_proj_|qkv\.", name) else [""])
    ]


def _existing(name: str, published: Mapping[str, Tensor]) -> str:
    """The name that a tensor has. transformers has two names for each head of the decoder and stores one of them; of
    heads that share weights it stores the first alone."""
    for alias in (name, f"model.decoder.{name}"):
        if alias in published:
            return alias
    first = re.sub(r"^(bbox|class)_embed\.\d+", r"\1_embed.0", name)
    kind = first.partition(".")[0]
    if first in published and not any(re.match(rf"(model\.decoder\.)?{kind}\.[1-9]", other) for other in published):
        return first
    raise ValueError(f"{name} is missing")
