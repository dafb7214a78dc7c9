"""SAM 2.1 video as a frame-by-frame tracker whose memory is data.

Upstream's ``SAM2VideoPredictor`` keeps a video's frames and every object's past in one inference state. Here each step
of each object returns one ``Memory``, and the caller hands back those that count, so steps can be repeated, rewound and
branched. The numbers are those of ``SAM2VideoPredictor.propagate_in_video`` on the same weights:

- Upstream divides a pointer's age by ``min(num_frames, max_obj_ptrs_in_encoder) - 1``. One frame at a time there is
  no ``num_frames``, so the divisor is always that of a video of ``max_obj_ptrs_in_encoder`` frames (16 in SAM 2.1) or
  more; upstream's numbers for shorter videos differ a little.
- Only differences of steps enter the model, so each object's steps may be counted from the frame that prompted it.
- Small holes are not filled (``fill_hole_area``), as upstream does not fill them without its compiled extension.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from PIL.Image import Resampling
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import Tensor

from promptable.models.pixels.normalise import normalise_
from promptable.models.pixels.picture import Picture
from promptable.models.pixels.resize import resize
from promptable.models.runtime.cuda_graphs import Graphs
from promptable.models.runtime.finite import all_finite, require
from promptable.models.runtime.out_of_memory import in_batches
from promptable.models.runtime.packed_linear import pack_linears
from promptable.models.runtime.precision import autocast, guarded, numbers
from promptable.models.sam2.build import build, official_config
from promptable.models.sam2.evidence import evidence_of, evidence_of_given
from promptable.models.sam2.image_encoder import fuse_encoder
from promptable.models.sam2.memory import Memory
from promptable.models.sam2.memory_attention import FrameAttention, ObjectByObject, use_frame_attention
from promptable.models.sam2.memory_bank import memory_tokens
from promptable.models.sam2.memory_rules import RULES, Attended, Capacity, MemoryRule
from promptable.models.sam2.object_results import ObjectResult, read_results
from promptable.models.sam2.track_memory import TrackMemory
from promptable.models.sam2.video_prompts import VideoPrompt, prompt_inputs
from promptable.models.segmentation.channel_norm import fuse_norms
from promptable.models.segmentation.channels_last import channels_last
from promptable.models.segmentation.features import ImageFeatures
from promptable.models.segmentation.mask_decoder import fuse_decoder
from promptable.models.weights import fingerprint, locate

# What of track_step's outputs is answered or remembered.
_OUTPUTS = ("pred_masks", "object_score_logits", "obj_ptr", "maskmem_features")

# The most prompted frames that a step attends to as such: upstream has no limit, but a state must stay small.
_MOST_PROMPTED = 8

# The most frames to whose object pointers a model may attend, as many as in SAM 2 and 2.1: a state must stay small.
_MOST_POINTERS = 16

# How many CUDA graphs are kept: encoders, one a precision; heads, one a number of objects, captured at its 4th frame.
_ENCODERS, _HEADS, _OFTEN = 2, 4, 4

# Objects in one batch; each takes about 0.2 GB at 1024 pixels.
_BATCH_SIZE = 16


class VideoTracker:
    """Follows objects from frame to frame. It holds nothing but the model: the same arguments give the same answer.

    ``precision`` is that of the whole model (``models.runtime.precision``), ``rule`` says which frames become memory.
    With ``cuda_graphs`` on a GPU, the encoder runs as a graph, and so do the heads after the memory attention
    (``models.runtime.cuda_graphs``). The attention does not: its shapes change with what an object remembers.
    """

    def __init__(
        self,
        model: SAM2Base,
        fingerprint: str,
        precision: str = "fp32",
        rule: MemoryRule = RULES[TrackMemory.ALL],
        cuda_graphs: bool = False,
    ) -> None:
        """Raises ValueError for a model without memory, or with more than a state of a track has room for, or whose
        memory depends on frame numbers or other objects."""
        if model.num_maskmem < 1 or model.memory_temporal_stride_for_eval != 1 or model.non_overlap_masks_for_mem_enc:
            raise ValueError("expected a SAM 2 with memory, of stride 1, without non_overlap_masks_for_mem_enc")
        if model.max_obj_ptrs_in_encoder > _MOST_POINTERS:
            raise ValueError(f"max_obj_ptrs_in_encoder: expected at most {_MOST_POINTERS}")
        self.fingerprint = fingerprint
        self._precision = precision
        self._model = model.eval()
        self._rule = rule
        self._capacity = _capacity(model)
        graphs = Graphs(model.device, cuda_graphs)
        self._encoder = graphs.stage("image encoder", self._run_encoder, _ENCODERS)
        self._heads = graphs.stage("mask decoder", self._run_heads, _HEADS, _OFTEN)
        attention = model.memory_attention
        self._attend = attention if isinstance(attention, FrameAttention) else ObjectByObject(attention)
        grid = (model.sam_image_embedding_size,) * 2
        self._features_shape = (model.mem_dim, *grid)
        self._frame_position = _position(model.image_encoder.neck, (model.hidden_dim, *grid), model.device)
        self._memory_position = _position(model.memory_encoder, self._features_shape, model.device)

    @torch.inference_mode()
    def encode_image(self, image: Picture) -> ImageFeatures:
        """Encode a frame, uint8 RGB [H, W, 3], resized and normalised as ``sam2.utils.misc.load_video_frames`` does.

        The features are maps [1, C, h, w], finest first.
        """
        size = self._model.image_size
        pixels = resize(image, (size, size), Resampling.BICUBIC, self._model.device)
        levels = guarded(self._precision, partial(self._levels, normalise_(pixels.permute(2, 0, 1) / 255)[None]))
        return ImageFeatures((image.shape[0], image.shape[1]), levels)

    @torch.inference_mode()
    def start(
        self, features: ImageFeatures, prompts: Sequence[VideoPrompt], steps: Sequence[int] | None = None
    ) -> list[ObjectResult]:
        """Show one object per prompt: new ones at their step 0, or those followed so far again, at these ``steps``.

        As upstream's ``add_new_mask`` in a frame that was not tracked: the past does not count in this frame, and later
        steps attend to all frames in which an object was shown. Raises ValueError for a mask of another size than the
        frame, OutOfMemoryError.
        """
        results = in_batches(prompts, partial(self._guarded, self._start, features), _BATCH_SIZE)
        numbered = zip(results, steps or [0] * len(prompts), strict=True)
        return [replace(result, memory=replace(result.memory, step=step)) for result, step in numbered]

    @torch.inference_mode()
    def step(
        self, features: ImageFeatures, steps: Sequence[int], memories: Sequence[Sequence[Memory]]
    ) -> list[ObjectResult]:
        """Find each object in its next frame: object ``i`` is at its step ``steps[i]`` and remembers ``memories[i]``.

        Memories may come in any order, and more of them than needed. Objects of any age share a batch. Raises
        ValueError for memories that are not all of this model and of one object's past, OutOfMemoryError.
        """
        banks = [(step, self._bank(step, bank)) for step, bank in zip(steps, memories, strict=True)]
        results = in_batches(banks, partial(self._guarded, self._follow, features), _BATCH_SIZE)
        return [self._judged(result, bank) for result, bank in zip(results, memories, strict=True)]

    def retain(self, memories: Sequence[Memory]) -> list[Memory]:
        """What the next step attends to among all that an object remembers, oldest first.

        Where the next step attends to a pointer alone, the features are None.
        """
        following = 1 + max(memory.step for memory in memories)
        attended = self._rule.attended(following, _oldest_first(memories), self._capacity)
        return _oldest_first([one.memory for one in attended])

    def check(self, memory: Memory) -> None:
        """Raise ValueError unless the memory has this model's shapes."""
        features = self._features_shape if memory.features is None else tuple(memory.features.shape)
        shapes, expected = (tuple(memory.pointer.shape), features), ((self._model.hidden_dim,), self._features_shape)
        if shapes != expected:
            raise ValueError(f"a memory of this model has pointer and features of {expected}, got {shapes}")

    def _guarded(
        self, run: Callable[..., list[ObjectResult]], features: ImageFeatures, batch: Sequence[Any]
    ) -> list[ObjectResult]:
        return guarded(self._precision, partial(run, features, batch))

    def _autocast(self, precision: str) -> torch.autocast:
        return autocast(self._model.device, precision)

    def _levels(self, pixels: Tensor, precision: str) -> tuple[Tensor, ...]:
        """Feature levels of a normalised picture [1, 3, S, S]; FloatingPointError where float16 is too small for it."""
        with self._autocast(precision):
            levels = self._encoder(pixels)
        if precision == "fp16":
            require(all_finite(*levels))
        return levels

    def _run_encoder(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._model.forward_image(pixels)["backbone_fpn"][-self._model.num_feature_levels :])

    def _bank(self, step: int, memories: Sequence[Memory]) -> list[Attended]:
        """The memories as ``step`` attends to them."""
        for memory in memories:
            self.check(memory)
        earlier = _oldest_first(memories)
        own_steps = [memory.step for memory in earlier]
        if len(set(own_steps)) < len(own_steps) or step <= max(own_steps, default=-1):
            raise ValueError(f"step {step} needs memories of different, earlier steps, got those of {own_steps}")
        if not any(memory.conditioning for memory in earlier):
            raise ValueError(f"step {step} needs the memory of a prompted frame")
        bank = self._rule.attended(step, earlier, self._capacity)
        for one in bank:
            if one.ageless and one.memory.features is None:
                raise ValueError(f"step {step} needs the features of step {one.memory.step}")
        return bank

    def _judged(self, result: ObjectResult, past: Sequence[Memory]) -> ObjectResult:
        """The result with its memory marked, if the rule takes it into the distractor memory."""
        distractor = self._rule.is_distractor(result.memory, _oldest_first(past))
        return replace(result, memory=replace(result.memory, distractor=distractor))

    def _start(self, features: ImageFeatures, prompts: Sequence[VideoPrompt], precision: str) -> list[ObjectResult]:
        """As ``add_new_points_or_box`` or ``add_new_mask``, then ``propagate_in_video_preflight``.

        All prompts are of one kind.
        """
        model, frame = self._model, self._frame(features.tensors, len(prompts))
        with self._autocast(precision):
            outputs = model.track_step(
                **frame,
                **prompt_inputs(prompts, features.hw, model.image_size, model.device),
                frame_idx=0,
                is_init_cond_frame=True,
                output_dict={},
                num_frames=1,
                run_mem_encoder=False,
            )
            # Upstream remembers a prompted frame by its low-res mask, and as if clicked even where a mask was given.
            outputs["maskmem_features"], _ = model._encode_new_memory(
                current_vision_feats=frame["current_vision_feats"],
                feat_sizes=frame["feat_sizes"],
                pred_masks_high_res=_at_full_size(outputs["pred_masks"], model.image_size),
                object_score_logits=outputs["object_score_logits"],
                is_mask_from_pts=True,
            )
        evidence = evidence_of_given(outputs["pred_masks"])
        found = [outputs[name] for name in _OUTPUTS]
        return read_results(features.hw, found, evidence, [0] * len(prompts), conditioning=True)

    def _follow(
        self, features: ImageFeatures, banks: Sequence[tuple[int, Sequence[Attended]]], precision: str
    ) -> list[ObjectResult]:
        """One step of objects, each with its own number and what it attends to: ``SAM2Base.track_step``."""
        with self._autocast(precision):
            objects = memory_tokens(self._model, self._memory_position, [bank for _, bank in banks])
            position = _as_sequence(self._frame_position, 1)
            attended = self._attend(_as_sequence(features.tensors[-1], 1), position, objects)
            *found, evidence = self._heads(attended, *features.tensors)
        return read_results(features.hw, found, evidence, [step for step, _ in banks], conditioning=False)

    def _run_heads(self, attended: Tensor, *levels: Tensor) -> tuple[Tensor, ...]:
        """``_OUTPUTS`` and the evidence, from the frame as each object sees it [objects, P, C] and its feature levels.

        The shapes of these inputs do not depend on how much the objects remember.
        """
        model, frame = self._model, self._frame(levels, len(attended))
        vision, sizes = frame["current_vision_feats"], frame["feat_sizes"]
        candidates, _, ious, low_res, high_res, pointers, scores = model._forward_sam_heads(
            backbone_features=torch.unflatten(attended.transpose(1, 2), -1, sizes[-1]),
            high_res_features=[level.expand(len(attended), -1, -1, -1) for level in levels[:-1]] or None,
            multimask_output=model._use_multimask(is_init_cond_frame=False, point_inputs=None),
        )
        memory_features, _ = model._encode_new_memory(vision, sizes, high_res, scores, is_mask_from_pts=False)
        return low_res, scores, pointers, memory_features, evidence_of(low_res, scores, candidates, ious)

    def _frame(self, levels: Sequence[Tensor], objects: int) -> dict[str, Any]:
        """``track_step``'s arguments for a frame, as ``SAM2Base._prepare_backbone_features`` makes them.

        Only the coarsest level's positional encoding is read, so the others are left out.
        """
        return {
            "current_vision_feats": [_as_sequence(level, objects) for level in levels],
            "current_vision_pos_embeds": [_as_sequence(self._frame_position, objects)],
            "feat_sizes": [tuple(level.shape[-2:]) for level in levels],
        }


def load(
    model: str,
    weights_dir: Path,
    device: str,
    precision: str = "fp32",
    memory: TrackMemory = TrackMemory.ALL,
    cuda_graphs: bool = False,
) -> VideoTracker:
    """The tracker of an official SAM 2.1 name or a model folder. Raises as ``locate`` and ``build`` do."""
    files = locate(model, weights_dir)
    built = build(files).to(device)
    prepare_for_video(built, precision)
    config = files.config or official_config(files.name)
    name = fingerprint(files.weights, config, numbers=str(numbers(precision)))
    return VideoTracker(built, name, precision, RULES[memory], cuda_graphs)


def prepare_for_video(model: SAM2Base, precision: str = "fp32") -> None:
    """Give a model in evaluation mode, on the device where it stays, faster layers of the same meaning."""
    fuse_encoder(model, precision)
    use_frame_attention(model, precision)
    fuse_decoder(model.sam_mask_decoder, model.sam_prompt_encoder, LayerNorm2d, numbers(precision))
    channels_last(model.memory_encoder)
    fuse_norms(model.memory_encoder, LayerNorm2d)
    pack_linears(model.memory_encoder, model.device, numbers(precision))


def _capacity(model: SAM2Base) -> Capacity:
    """What the model has room for. Its own numbers count the frame of the step itself as one of each kind."""
    pointers = model.max_obj_ptrs_in_encoder if model.use_obj_ptrs_in_encoder else 0
    prompted = model.max_cond_frames_in_attn if model.max_cond_frames_in_attn > 0 else _MOST_PROMPTED
    features = model.num_maskmem - 1
    return Capacity(min(prompted, _MOST_PROMPTED), features, max(pointers - 1, features))


def _oldest_first(memories: Sequence[Memory]) -> list[Memory]:
    return sorted(memories, key=lambda memory: memory.step)


def _position(owner: torch.nn.Module, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """The constant positional encoding that a module gives to a map of ``shape`` [C, h, w], as [1, C, h, w]."""
    encode = owner.get_submodule("position_encoding")
    encoding: Tensor = encode(torch.zeros(1, *shape, device=device))
    return encoding.contiguous(memory_format=torch.channels_last)


def _as_sequence(tensor: Tensor, objects: int) -> Tensor:
    """One map [1, C, h, w] for every object, as the [h * w, objects, C] that ``track_step`` takes."""
    return tensor.expand(objects, -1, -1, -1).flatten(2).permute(2, 0, 1)


def _at_full_size(low_res_logits: Tensor, size: int) -> Tensor:
    return F.interpolate(low_res_logits, (size, size), mode="bilinear", align_corners=False)
