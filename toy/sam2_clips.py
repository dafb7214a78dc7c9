"""Clips of toy videos as tensors, their prompts, and one frame of SAM 2's tracking: for training and for figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from toy.scenes import COLOURS, Scene

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VIDEO_FRAMES = 16
CLEARLY_VISIBLE = 0.001  # of the picture

Outputs = dict[str, dict[int, dict[str, Any]]]
"""What ``SAM2Base`` remembers of earlier frames."""


@dataclass(frozen=True)
class Clips:
    """Some clips of equal length and some of their objects.

    images: float32 [T, N, 3, S, S], normalised. clip: int64 [O], which of the N clips each object is in.
    masks: bool [T, O, S, S], the visible part of each object. colours: int64 [O], indices into ``COLOURS``.
    """

    images: Tensor
    clip: Tensor
    masks: Tensor
    colours: Tensor


def make_clips(videos: Sequence[Sequence[Scene]], rng: np.random.Generator, max_objects: int) -> Clips:
    """Batch videos of equal length with at most ``max_objects`` objects that their first frames clearly show."""
    candidates = [
        (n, i)
        for n, frames in enumerate(videos)
        for i, shape in enumerate(frames[0].objects)
        if shape.mask.mean() >= CLEARLY_VISIBLE
    ]
    chosen = [candidates[i] for i in rng.permutation(len(candidates))[:max_objects]]
    images = np.stack([[frame.image for frame in frames] for frames in zip(*videos, strict=True)])
    masks = np.stack([[videos[n][t].objects[i].mask for n, i in chosen] for t in range(len(videos[0]))])
    names = [videos[n][0].objects[i].label.split()[0] for n, i in chosen]
    colours = torch.tensor([list(COLOURS).index(name) for name in names])
    return Clips(normalised(images), torch.tensor([n for n, _ in chosen]), torch.from_numpy(masks), colours)


def normalised(images: NDArray[np.uint8]) -> Tensor:
    """uint8 RGB [..., S, S, 3] to the model's float32 [..., 3, S, S]."""
    pixels = torch.from_numpy(images).float() / 255
    return ((pixels - torch.tensor(MEAN)) / torch.tensor(STD)).movedim(-1, -3)


def object_maps(model: SAM2Base, images: Tensor, clip: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Features and positions at every level, [O, C, h, w] each, of images [N, 3, S, S] and ``clip`` [O]."""
    output = model.forward_image(images.contiguous(memory_format=torch.channels_last))
    return [level[clip] for level in output["backbone_fpn"]], [level[clip] for level in output["vision_pos_enc"]]


def _rows(maps: Tensor) -> Tensor:
    return maps.flatten(2).permute(2, 0, 1)


def random_points(regions: Tensor, rng: np.random.Generator) -> Tensor:
    """One pixel centre, (x, y), of each region in bool [O, S, S], which must not be empty: float32 [O, 2]."""
    pixels = [region.nonzero() for region in regions]
    return torch.stack([some[rng.integers(len(some))].flip(0) for some in pixels]) + 0.5


def boxes_of(masks: Tensor, rng: np.random.Generator, jitter: float) -> Tensor:
    """Boxes of bool [O, S, S] as two corners, float32 [O, 2, 2], each side moved by up to ``jitter`` of the size."""
    columns, rows = masks.any(1).float(), masks.any(2).float()
    low = torch.stack([columns.argmax(1), rows.argmax(1)], 1)
    high = masks.shape[-1] - torch.stack([columns.flip(1).argmax(1), rows.flip(1).argmax(1)], 1)
    size = (high - low).float()
    noise = torch.from_numpy(rng.uniform(-jitter, jitter, (len(masks), 2, 2))).float()
    return torch.stack([low, high], 1) + noise * size[:, None]


def labelled(coordinates: Tensor, *labels: int) -> dict[str, Tensor]:
    """Points [O, P, 2] with the P labels: 1 and 0 for clicks, 2 and 3 for a box's corners."""
    return {
        "point_coords": coordinates,
        "point_labels": torch.tensor(labels, dtype=torch.int32).expand(len(coordinates), -1),
    }


def no_outputs() -> Outputs:
    return {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}


def first_prompt(masks: Tensor, kind: str, rng: np.random.Generator, jitter: float) -> dict[str, Any]:
    """What ``track`` takes as the prompt of ``masks``, bool [O, S, S]."""
    if kind == "mask":
        return {"mask_inputs": masks[:, None].float()}
    if kind == "box":
        return {"point_inputs": labelled(boxes_of(masks, rng, jitter), 2, 3)}
    return {"point_inputs": labelled(random_points(masks, rng)[:, None], 1)}


def track(
    model: SAM2Base, clips: Clips, t: int, prompt: dict[str, Any], outputs: Outputs
) -> tuple[dict[str, Any], Tensor, Tensor, Tensor]:
    """``SAM2Base.track_step`` in frame ``t``, which in training mode hides what the losses need.

    Returns its output with the new memory, the logits [O, M, h, w] of every mask, their IoUs and the object scores.
    """
    prompts = {"point_inputs": None, "mask_inputs": None} | (prompt if t == 0 else {})
    maps, positions = object_maps(model, clips.images[t], clips.clip)
    rows, sizes = [_rows(level) for level in maps], [(level.shape[-2], level.shape[-1]) for level in maps]
    current, answer, _, _ = model._track_step(
        t,
        t == 0,
        rows,
        [_rows(level) for level in positions],
        sizes,
        prompts["point_inputs"],
        prompts["mask_inputs"],
        outputs,
        num_frames=VIDEO_FRAMES,
        track_in_reverse=False,
        prev_sam_mask_logits=None,
    )
    masks, _, ious, _, best, current["obj_ptr"], score = answer
    model._encode_memory_in_output(rows, sizes, prompts["point_inputs"], True, best, score, current)
    current["pred_masks_high_res"] = best
    return current, masks, ious, score
