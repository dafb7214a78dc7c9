"""Train the toy SAM 2.1: ``python -m toy.train_sam2``. Stills with clicks and boxes first, then clips.

The recipe is SAM 2's (Ravi et al. 2024, section D): the losses of every frame of a short clip whose first frame is
prompted; clicks that correct the last answer on stills.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate

from promptable.models.sam2.build import build_architecture
from toy.evaluate_sam2 import evaluate_stills, evaluate_videos
from toy.sam2_clips import (
    CLEARLY_VISIBLE,
    VIDEO_FRAMES,
    boxes_of,
    first_prompt,
    labelled,
    make_clips,
    no_outputs,
    object_maps,
    random_points,
    track,
)
from toy.scenes import COLOURS, SIZE, Scene, scene, video
from toy.training import Schedule, train

FOLDER = Path(__file__).parent / "sam2"
SEED = 0
STILL_BATCH, STILL_OBJECTS = 8, 24
CLIP_BATCH, CLIP_OBJECTS = 4, 8
VIDEOS, PICTURES = 60, 100

Window = Callable[[int, int, np.random.Generator], list[Scene]]
"""Some frames of the clip of a seed, in a size."""
Weigh = Callable[[Tensor, Tensor], Tensor]
"""The part that each pixel has in the BCE, [O, S, S], given the masks of the objects and the clips they are in."""


@dataclass(frozen=True)
class Unfinished(Schedule):
    """A schedule that ends while the rate still decays towards step ``decay_steps``."""

    decay_steps: int = 1

    def factor(self, step: int) -> float:
        return Schedule(self.decay_steps, self.learning_rate, self.warmup).factor(step)


class Student(nn.Module):
    """The model, and readers of an object's colour from its features, which are thrown away after the training."""

    def __init__(self, sam2: SAM2Base) -> None:
        super().__init__()
        self.sam2 = sam2
        widths = {"pixels": 16, "places": 128, "tokens": 128, "pointers": 128}
        self.hints = nn.ModuleDict({name: nn.Linear(width, len(COLOURS)) for name, width in widths.items()})


FIRST = Unfinished(1286, 8e-4, decay_steps=1500)
SECOND, SECOND_SEED = Schedule(600, 8e-4, warmup=50), 300_000
THIRD, THIRD_SEED = Schedule(480, 5e-4, warmup=20), 500_000
FOURTH, FOURTH_SEED = Unfinished(594, 8e-4, warmup=30, decay_steps=700), 700_000
FIFTH, FIFTH_SEED = Schedule(400, 5e-4, warmup=20), 800_000
SIXTH, SIXTH_SEED = Schedule(2250, 7e-4, warmup=50), 900_000


def first_loss(model: SAM2Base, step: int) -> Tensor:
    """Small stills at first, then small short clips, then clips at the model's own size, with stills in between."""
    size = SIZE // 2 if step < 975 else SIZE
    set_image_size(model, size)
    if step < 330 or step % (6 if step < 990 else 3) == 0:
        return stills_loss(model, step * STILL_BATCH, size, balanced if step < 180 else even)
    longest = 5 if step < 675 else 8
    window = short_window(2 + step % (longest - 1))
    return clips_loss(model, step * CLIP_BATCH, size, window, longest, balanced if step < 525 else even)


def second_loss(model: SAM2Base, step: int) -> Tensor:
    """Crowded stills, so that it learns to tell an object from the others that touch it."""
    size = 2 * SIZE // 3
    set_image_size(model, size)
    return stills_loss(model, SECOND_SEED + step * STILL_BATCH, size, wary, max_objects=9)


def third_loss(model: SAM2Base, step: int) -> Tensor:
    """Longer clips, in the end at the model's own size, with stills in between."""
    size = 2 * SIZE // 3 if step < 0.85 * THIRD.steps else SIZE
    set_image_size(model, size)
    seed = THIRD_SEED + step * STILL_BATCH
    if step % 4 == 0:
        return stills_loss(model, seed, size, wary)
    return clips_loss(model, seed, size, first_frames(3 + step % 11), 5, wary)


def fourth_loss(student: Student, step: int) -> Tensor:
    """Crowded stills, then clips as well, with the colours as hints."""
    model, size = student.sam2, 2 * SIZE // 3
    set_image_size(model, size)
    seed = FOURTH_SEED + step * STILL_BATCH
    if step < 250 or step % 3 == 0:
        return stills_loss(model, seed, size, wary, 9, student.hints)
    return clips_loss(model, seed, size, first_frames(3 + step % 11), 5, wary, student.hints)


def fifth_loss(student: Student, step: int) -> Tensor:
    """Lively clips, in the end at the model's own size."""
    return lively_loss(student, step, FIFTH_SEED, 2 * SIZE // 3 if step < 0.82 * FIFTH.steps else SIZE)


def sixth_loss(student: Student, step: int) -> Tensor:
    """As the fifth stage, for longer and on other clips."""
    return lively_loss(student, step, SIXTH_SEED, 2 * SIZE // 3 if step < 0.78 * SIXTH.steps else SIZE)


def lively_loss(student: Student, step: int, first_seed: int, size: int) -> Tensor:
    """Clips in which more objects move faster, with crowded stills in between."""
    model = student.sam2
    set_image_size(model, size)
    seed = first_seed + step * STILL_BATCH
    if step % 4 == 0:
        return stills_loss(model, seed, size, wary, 9, student.hints)
    return clips_loss(model, seed, size, lively_frames(3 + step % 9), 6, wary, student.hints)


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


def stills_loss(
    model: SAM2Base, seed: int, size: int, weigh: Weigh, max_objects: int = 6, hints: nn.ModuleDict | None = None
) -> Tensor:
    """Prompt every object of some pictures by a click and by a box, then by a click that corrects an answer."""
    rng = np.random.default_rng([seed, 3])
    clips = make_clips([[scene(seed + i, size, max_objects)] for i in range(STILL_BATCH)], rng, STILL_OBJECTS)
    truth, weights = clips.masks[0], weigh(clips.masks[0], clips.clip)
    features, _ = object_maps(model, clips.images[0], clips.clip)
    features[-1] = features[-1] + model.no_mem_embed.reshape(1, -1, 1, 1)

    def prompted(prompt: dict[str, Tensor], logits: Tensor | None) -> tuple[Tensor, Tensor]:
        masks, ious, tokens, score = decode(model, features, prompt, logits)
        loss = mask_loss(upsampled(masks), ious, truth, torch.ones(len(truth)), weights)
        if hints is not None:
            loss = loss + 0.3 * cross_entropy(
                hints["tokens"](tokens).movedim(-1, 1), clips.colours[:, None].expand(-1, 4)
            )
        return loss + 0.2 * presence_loss(score, truth), masks[:, :1].detach().clamp(-32, 32)

    click = labelled(random_points(truth, rng)[:, None], 1)
    box = labelled(boxes_of(truth, rng, 0.06), 2, 3)
    (click_loss, by_click), (box_loss, by_box) = prompted(click, None), prompted(box, None)
    first, answer = (click, by_click) if rng.random() < 0.5 else (box, by_box)
    corrected_loss, _ = prompted(_corrected(first, answer, truth, rng), answer)
    loss = (click_loss + box_loss + corrected_loss) / 3
    if hints is None:
        return loss
    pixels = _colour_loss(hints["pixels"], features[0], truth, clips.colours)
    return loss + 0.3 * pixels + 0.3 * _colour_loss(hints["places"], features[-1], truth, clips.colours)


def _colour_loss(hint: nn.Module, maps: Tensor, truth: Tensor, colours: Tensor) -> Tensor:
    """Cross entropy of the colour that ``hint`` reads from the places [O, C, h, w] which the object fills."""
    filled = _resized(truth.float(), maps)[:, 0] > 0.6
    owner = torch.arange(len(truth))[:, None, None].expand(filled.shape)[filled]
    return cross_entropy(hint(maps.movedim(1, -1)[filled]), colours[owner])


def decode(
    model: SAM2Base, features: list[Tensor], prompt: dict[str, Tensor], logits: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits of all four masks [O, 4, h, w], their IoUs [O, 4] and tokens [O, 4, C], the object scores [O, 1]."""
    sparse, dense = model.sam_prompt_encoder((prompt["point_coords"], prompt["point_labels"]), None, logits)
    decoded: tuple[Tensor, Tensor, Tensor, Tensor] = model.sam_mask_decoder.predict_masks(
        features[-1], model.sam_prompt_encoder.get_dense_pe(), sparse, dense, False, features[:-1]
    )
    return decoded


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


def clips_loss(
    model: SAM2Base,
    seed: int,
    size: int,
    window: Window,
    learned: int,
    weigh: Weigh,
    hints: nn.ModuleDict | None = None,
) -> Tensor:
    """Prompt some objects of some clips in the first frame, by mask or box or click, and follow them.

    Only the last ``learned`` frames have losses and gradients.
    """
    rng = np.random.default_rng([seed, 4])
    clips = make_clips([window(seed + i, size, rng) for i in range(CLIP_BATCH)], rng, CLIP_OBJECTS)
    prompt = first_prompt(clips.masks[0], str(rng.choice(["mask", "box", "click"], p=[0.5, 0.4, 0.1])), rng, 0.04)
    outputs, losses, hinted, first = no_outputs(), [], [], len(clips.masks) - learned
    for t, truth in enumerate(clips.masks):
        with torch.set_grad_enabled(t >= first):
            current, masks, ious, score = track(model, clips, t, prompt, outputs)
        outputs["non_cond_frame_outputs" if t else "cond_frame_outputs"][t] = current
        if t >= first and (t or "mask_inputs" not in prompt):
            losses.append(_frame_loss(masks, ious, score, truth, weigh(truth, clips.clip)))
        if t >= first and hints is not None:
            seen = truth.any((-2, -1)) & (score[:, 0] > 0)
            wrong = cross_entropy(hints["pointers"](current["obj_ptr"]), clips.colours, reduction="none")
            hinted.append((wrong * seen).sum() / seen.sum().clamp(min=1))
    return torch.stack(losses).mean() + (0.3 * torch.stack(hinted).mean() if hinted else 0)


def short_window(frames: int) -> Window:
    """Consecutive frames of a clip: mostly its end, where what leaves has left."""

    def window(seed: int, size: int, rng: np.random.Generator) -> list[Scene]:
        length = int(rng.integers(max(frames, 8), VIDEO_FRAMES + 1))
        clip = video(seed, length, size, leaving=0.5)
        start = int(rng.integers(0, length - frames + 1)) if rng.random() < 0.5 else length - frames
        return clip[start : start + frames]

    return window


def lively_frames(frames: int) -> Window:
    """The first ``frames`` of a short, crowded clip, whose objects move fast and leave more often."""

    def window(seed: int, size: int, rng: np.random.Generator) -> list[Scene]:
        length = max(frames, int(rng.integers(6, 17)))
        return video(seed, length, size, max_objects=5, leaving=0.4)[:frames]

    return window


def first_frames(frames: int) -> Window:
    """The first frames of clips as long and a little more crowded than the held-out ones."""
    return lambda seed, size, _: video(seed, VIDEO_FRAMES, size, max_objects=5, leaving=0.4)[:frames]


def _frame_loss(masks: Tensor, ious: Tensor, score: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """No mask loss where the object is hidden, or is taken to be: its logits are constant then."""
    counted = (truth.any((-2, -1)) & (score[:, 0] > 0)).float()
    return mask_loss(upsampled(masks), ious, truth, counted, weights) + presence_loss(score, truth)


def mask_loss(logits: Tensor, ious: Tensor, truth: Tensor, counted: Tensor, weights: Tensor) -> Tensor:
    """Mean over the ``counted`` objects (float [O]) of 5 BCE + dice + L1 of the predicted IoU, for every mask token.

    logits: [O, M, h, w]; ious: [O, M]; truth: [O, S, S] bool; weights: [O, S, S], each pixel's part in the BCE.
    """
    target = _resized(truth.float(), logits).expand_as(logits)
    bce = binary_cross_entropy_with_logits(logits, target, reduction="none")
    bce = (bce * _resized(weights, logits)).mean((-2, -1))
    share = logits.sigmoid()
    dice = 1 - (2 * (share * target).sum((-2, -1)) + 1) / ((share + target).sum((-2, -1)) + 1)
    with torch.no_grad():
        mask, whole = logits > 0, target > 0.5
        iou = (mask & whole).sum((-2, -1)) / (mask | whole).sum((-2, -1)).clamp(min=1)
    per_object = (5 * bce + dice + (ious - iou).abs()).mean(1)
    return (per_object * counted).sum() / counted.sum().clamp(min=1)


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return interpolate(maps[:, None], like.shape[-2:], mode="area")


def even(masks: Tensor, clip: Tensor) -> Tensor:
    """All pixels count alike."""
    return torch.ones(masks.shape)


def wary(masks: Tensor, clip: Tensor) -> Tensor:
    """The pixels of the clip's other objects count more, since there the model errs."""
    return 1 + 3 * _others(masks, clip)


def balanced(masks: Tensor, clip: Tensor) -> Tensor:
    """The object, the other objects and the background count alike, however small.

    With equal weights a model starts by segmenting everything, and takes long to notice the prompts and memories.
    """
    own, others = masks.float(), _others(masks, clip)
    regions = torch.stack([own, others, 1 - own - others])
    return (regions / regions.mean((-2, -1), keepdim=True).clamp(min=1e-3)).sum(0) / len(regions)


def _others(masks: Tensor, clip: Tensor) -> Tensor:
    same_clip = (clip[:, None] == clip[None]).float()
    return torch.einsum("op,phw->ohw", same_clip, masks.float()) - masks.float()


def presence_loss(score: Tensor, truth: Tensor) -> Tensor:
    """BCE of the object score [O, 1]; objects of which only a few pixels show count neither way."""
    share = truth.float().mean((-2, -1))
    certain = ((share == 0) | (share >= CLEARLY_VISIBLE)).float()
    losses = binary_cross_entropy_with_logits(score[:, 0], (share > 0).float(), reduction="none")
    return (losses * certain).sum() / certain.sum().clamp(min=1)


def upsampled(logits: Tensor) -> Tensor:
    """Logits at half the picture's resolution, where the losses look at them."""
    return interpolate(logits.float(), scale_factor=2, mode="bilinear", align_corners=False)


ALONE = (
    ("sam2", first_loss, FIRST),
    ("sam2-second", second_loss, SECOND),
    ("sam2-third", third_loss, THIRD),
)
"""The stages that train the model itself: the name of the file to resume from, the loss at a step, the schedule."""
WITH_HINTS = (
    ("sam2-fourth", fourth_loss, FOURTH),
    ("sam2-fifth", fifth_loss, FIFTH),
    ("sam2-sixth", sixth_loss, SIXTH),
)
"""Those that train it as a ``Student``."""


def main() -> None:
    torch.set_num_threads(1)
    model = fresh_model()
    seconds = sum(_trained(model, *stage) for stage in ALONE)
    student = Student(model)
    seconds += sum(_trained(student, *stage) for stage in WITH_HINTS)
    model.half().float()
    save_file({name: tensor.half() for name, tensor in model.state_dict().items()}, FOLDER / "model.safetensors")
    _report(model, seconds)


def _trained(model: nn.Module, name: str, loss: Callable[[Any, int], Tensor], schedule: Schedule) -> float:
    """One stage; the seconds that it took."""
    return train(model, partial(loss, model), schedule, Path("out/train") / f"{name}.pt")


def _report(model: SAM2Base, seconds: float) -> None:
    report = {
        "command": "python -m toy.train_sam2",
        "seed": SEED,
        "steps": sum(schedule.steps for _, _, schedule in (*ALONE, *WITH_HINTS)),
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
