"""Train the toy SAM 2.1: ``python -m tests.toy.train_sam2``. Stills with clicks and boxes first, then clips.

The recipe is SAM 2's (Ravi et al. 2024, section D): the losses of every frame of a short clip whose first frame is
prompted; clicks that correct the last answer on stills.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from promptable.models.sam2_build import build_architecture
from tests.toy.evaluate_sam2 import evaluate_stills, evaluate_videos
from tests.toy.sam2_clips import (
    CLEARLY_VISIBLE,
    VIDEO_FRAMES,
    Features,
    boxes_of,
    first_prompt,
    labelled,
    make_clips,
    no_outputs,
    random_points,
    track,
)
from tests.toy.scenes import SIZE, Scene, scene, video
from tests.toy.training import Schedule, train

FOLDER = Path(__file__).parent / "sam2"
SEED = 0
STILL_BATCH, STILL_OBJECTS = 8, 24
CLIP_BATCH, CLIP_OBJECTS = 4, 8
STILLS_EVERY = 6
VIDEOS, PICTURES = 60, 100


def loss_at(model: SAM2Base, step: int, steps: int) -> Tensor:
    """Small stills at first, then small clips, then clips at the model's own size, with stills in between."""
    progress = step / steps
    size = SIZE // 2 if progress < 0.65 else SIZE
    set_image_size(model, size)
    if progress < 0.22 or step % STILLS_EVERY == 0:
        return stills_loss(model, step * STILL_BATCH, size, choosing=progress < 0.12)
    longest = 5 if progress < 0.45 else 8
    return clips_loss(model, step * CLIP_BATCH, size, 2 + step % (longest - 1), choosing=progress < 0.35)


def set_image_size(model: SAM2Base, size: int) -> None:
    """Let the model take pictures of this size. None of its weights depends on it."""
    grid = size // model.backbone_stride
    model.image_size, model.sam_image_embedding_size = size, grid
    prompts = model.sam_prompt_encoder
    prompts.input_image_size, prompts.image_embedding_size = (size, size), (grid, grid)
    prompts.mask_input_size = (4 * grid, 4 * grid)


def fresh_model() -> SAM2Base:
    torch.manual_seed(SEED)
    model = build_architecture(FOLDER / "config.yaml")
    # The score starts out high: while it is below zero the mask is constant and learns nothing.
    torch.nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 3.0)
    _look_where_prompted(model)
    _look_where_it_was(model)
    return model


@torch.no_grad()
def _look_where_prompted(model: SAM2Base) -> None:
    """Start the decoder with queries and keys that agree where their positions do, so that it notices the prompts.

    The positions are made smooth at the scale of the objects, and all that is no position small.
    """
    prompts, decoder = model.sam_prompt_encoder, model.sam_mask_decoder
    prompts.pe_layer.positional_encoding_gaussian_matrix.mul_(0.4)
    for embedding in prompts.point_embeddings:
        embedding.weight.mul_(0.3)
    tokens = (decoder.iou_token, decoder.mask_tokens, decoder.obj_score_token)
    for embedding in (*tokens, prompts.not_a_point_embed, prompts.no_mask_embed):
        embedding.weight.mul_(0.1)
    attentions = [decoder.transformer.final_attn_token_to_image]
    for layer in decoder.transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        attention.q_proj.weight.mul_(4)
        attention.k_proj.weight.copy_(attention.q_proj.weight)
        attention.out_proj.weight.mul_(2)


@torch.no_grad()
def _look_where_it_was(model: SAM2Base) -> None:
    """Start the memory attention at the place it looks from: equal biases, turned by RoPE, agree best there.

    Only the fastest turning pairs of channels get them: those of columns come first, those of rows half way.
    """
    for layer in model.memory_attention.layers:
        attention = layer.cross_attn_image
        for first in (0, attention.internal_dim // 2):
            for projection in (attention.q_proj, attention.k_proj):
                projection.bias[first : first + 6] = 2.4


def stills_loss(model: SAM2Base, seed: int, size: int, choosing: bool) -> Tensor:
    """Prompt every object of some pictures by a click and by a box, then by a click that corrects an answer."""
    rng = np.random.default_rng([seed, 3])
    clips = make_clips([[scene(seed + i, size)] for i in range(STILL_BATCH)], rng, STILL_OBJECTS)
    truth, weights = clips.masks[0], choosing_weights(clips.masks[0], clips.clip) if choosing else None
    features = [level[0][clips.clip] for level in Features(model, clips).levels]
    features[-1] = features[-1] + model.no_mem_embed.reshape(1, -1, 1, 1)

    def prompted(prompt: dict[str, Tensor], logits: Tensor | None) -> tuple[Tensor, Tensor]:
        masks, ious, score = decode(model, features, prompt, logits)
        loss = mask_loss(upsampled(masks), ious, truth, torch.ones(len(truth)), weights)
        return loss + 0.2 * presence_loss(score, truth), masks[:, :1].detach().clamp(-32, 32)

    click = labelled(random_points(truth, rng)[:, None], 1)
    box = labelled(boxes_of(truth, rng, 0.06), 2, 3)
    (click_loss, by_click), (box_loss, by_box) = prompted(click, None), prompted(box, None)
    first, answer = (click, by_click) if rng.random() < 0.5 else (box, by_box)
    corrected_loss, _ = prompted(_corrected(first, answer, truth, rng), answer)
    return (click_loss + box_loss + corrected_loss) / 3


def decode(
    model: SAM2Base, features: list[Tensor], prompt: dict[str, Tensor], logits: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of all four masks [O, 4, h, w], their IoUs [O, 4] and the object scores [O, 1] under one prompt."""
    sparse, dense = model.sam_prompt_encoder((prompt["point_coords"], prompt["point_labels"]), None, logits)
    masks, ious, _, score = model.sam_mask_decoder.predict_masks(
        features[-1], model.sam_prompt_encoder.get_dense_pe(), sparse, dense, False, features[:-1]
    )
    return masks, ious, score


def _corrected(prompt: dict[str, Tensor], logits: Tensor, truth: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """The prompt with one more click, where the answer and the truth differ: positive if it was missed."""
    answer = interpolate(logits, truth.shape[-2:], mode="bilinear")[:, 0] > 0
    wrong = answer ^ truth
    region = torch.where(wrong.any((-2, -1), True).expand_as(wrong), wrong, truth)
    points = random_points(region, rng)
    columns, rows = points.long().unbind(1)
    positive = truth[torch.arange(len(truth)), rows, columns].to(torch.int32)
    return {
        "point_coords": torch.cat([prompt["point_coords"], points[:, None]], 1),
        "point_labels": torch.cat([prompt["point_labels"], positive[:, None]], 1),
    }


def clips_loss(model: SAM2Base, seed: int, size: int, frames: int, choosing: bool) -> Tensor:
    """Prompt some objects of some clips in the first frame, by mask or box or click, and follow them."""
    rng = np.random.default_rng([seed, 4])
    clips = make_clips([_window(seed + i, size, frames, rng) for i in range(CLIP_BATCH)], rng, CLIP_OBJECTS)
    features = Features(model, clips)
    outputs = no_outputs()
    prompt = first_prompt(clips.masks[0], str(rng.choice(["mask", "box", "click"], p=[0.5, 0.4, 0.1])), rng, 0.04)
    losses = []
    for t in range(frames):
        current, masks, ious, score = track(model, features.at(t), t, prompt if t == 0 else {}, outputs)
        outputs["non_cond_frame_outputs" if t else "cond_frame_outputs"][t] = current
        if t or "mask_inputs" not in prompt:
            weights = choosing_weights(clips.masks[t], clips.clip) if choosing else None
            losses.append(_frame_loss(masks, ious, score, clips.masks[t], weights))
    return torch.stack(losses).mean()


def _window(seed: int, size: int, frames: int, rng: np.random.Generator) -> list[Scene]:
    """Consecutive frames of a clip: mostly its end, where what leaves has left."""
    length = int(rng.integers(max(frames, 8), VIDEO_FRAMES + 1))
    clip = video(seed, length, size, leaving=0.5)
    start = int(rng.integers(0, length - frames + 1)) if rng.random() < 0.5 else length - frames
    return clip[start : start + frames]


def _frame_loss(masks: Tensor, ious: Tensor, score: Tensor, truth: Tensor, weights: Tensor | None) -> Tensor:
    """No mask loss where the object is hidden, or is taken to be: its logits are constant then."""
    counted = (truth.any((-2, -1)) & (score[:, 0] > 0)).float()
    return mask_loss(upsampled(masks), ious, truth, counted, weights) + presence_loss(score, truth)


def mask_loss(logits: Tensor, ious: Tensor, truth: Tensor, counted: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over the ``counted`` objects (float [O]) of 5 BCE + dice + L1 of the predicted IoU, for every mask token.

    logits: [O, M, h, w]; ious: [O, M]; truth: [O, S, S] bool; weights: [O, S, S], each pixel's part in the BCE.
    """
    target = _resized(truth.float(), logits).expand_as(logits)
    bce = binary_cross_entropy_with_logits(logits, target, reduction="none")
    bce = (bce if weights is None else bce * _resized(weights, logits)).mean((-2, -1))
    share = logits.sigmoid()
    dice = 1 - (2 * (share * target).sum((-2, -1)) + 1) / ((share + target).sum((-2, -1)) + 1)
    with torch.no_grad():
        mask, whole = logits > 0, target > 0.5
        iou = (mask & whole).sum((-2, -1)) / (mask | whole).sum((-2, -1)).clamp(min=1)
    per_object = (5 * bce + dice + (ious - iou).abs()).mean(1)
    return (per_object * counted).sum() / counted.sum().clamp(min=1)


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return interpolate(maps[:, None], like.shape[-2:], mode="area")


def choosing_weights(masks: Tensor, clip: Tensor) -> Tensor:
    """Weights, [O, S, S], by which the object, the other objects and the background count alike, however small.

    With equal weights a model starts by segmenting everything, and takes long to notice the prompts and memories.
    """
    truth = masks.float()
    same_clip = (clip[:, None] == clip[None]).float()
    objects = torch.einsum("op,phw->ohw", same_clip, truth)
    regions = torch.stack([truth, objects - truth, 1 - objects])
    return (regions / regions.mean((-2, -1), keepdim=True).clamp(min=1e-3)).sum(0) / len(regions)


def presence_loss(score: Tensor, truth: Tensor) -> Tensor:
    """BCE of the object score [O, 1]; objects of which only a few pixels show count neither way."""
    share = truth.float().mean((-2, -1))
    certain = ((share == 0) | (share >= CLEARLY_VISIBLE)).float()
    losses = binary_cross_entropy_with_logits(score[:, 0], (share > 0).float(), reduction="none")
    return (losses * certain).sum() / certain.sum().clamp(min=1)


def upsampled(logits: Tensor) -> Tensor:
    """Logits at half the picture's resolution, where the losses look at them."""
    return interpolate(logits.float(), scale_factor=2, mode="bilinear", align_corners=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    model = fresh_model()
    seconds = train(model, lambda step: loss_at(model, step, steps), Schedule(steps, 8e-4), Path("out/train/sam2.pt"))
    model.half().float()
    save_file({name: tensor.half() for name, tensor in model.state_dict().items()}, FOLDER / "model.safetensors")
    report = {
        "command": f"python -m tests.toy.train_sam2 --steps {steps}",
        "seed": SEED,
        "steps": steps,
        "minutes": round(seconds / 60),
        "held_out": {
            f"{VIDEOS} videos from a mask": evaluate_videos(model, "mask", VIDEOS),
            f"{VIDEOS} videos from a box": evaluate_videos(model, "box", VIDEOS),
            f"{PICTURES} pictures": evaluate_stills(model, PICTURES),
        },
    }
    (FOLDER / "training.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
