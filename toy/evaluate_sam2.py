"""Held-out figures of the toy SAM 2: objects followed through videos, and masks of single pictures."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from promptable.models.sam2.segmenter import Sam2Segmenter
from promptable.models.segmentation.segmenter import Prompt
from toy.metrics import mask_iou
from toy.sam2_clips import VIDEO_FRAMES, Clips, first_prompt, make_clips, no_outputs, track
from toy.scenes import scenes, video

HELD_OUT = 10_000_000


@torch.no_grad()
def evaluate_videos(model: SAM2Base, kind: str, videos: int, first_seed: int = HELD_OUT) -> dict[str, float]:
    """Prompt every object in the first frame of each 16-frame video by ``kind``, exactly, and follow it.

    mask_iou: mean over the following frames in which at least 1% of the picture shows the object.
    seen: the share of those frames in which the object score says that it is there.
    gone: the share of the frames without any of it in which the score says so.
    """
    rng = np.random.default_rng(first_seed)
    ious, seen, gone = [], [], []
    for seed in range(first_seed, first_seed + videos):
        clips = make_clips([video(seed, VIDEO_FRAMES)], rng, max_objects=99)
        for masks, scores, truth in _followed(model, clips, kind, rng):
            area = truth.sum((-2, -1))
            iou = (masks & truth).sum((-2, -1)) / (masks | truth).sum((-2, -1)).clamp(min=1)
            visible = area >= 0.01 * truth[0].numel()
            ious += iou[visible].tolist()
            seen += (scores[visible] > 0).tolist()
            gone += (scores[area == 0] <= 0).tolist()
    return {"mask_iou": _mean(ious), "seen": _mean(seen), "gone": _mean(gone), "frames_gone": len(gone)}


def _followed(
    model: SAM2Base, clips: Clips, kind: str, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Masks bool [O, S, S], object scores [O] and the truth of each frame after the first."""
    outputs = no_outputs()
    prompt = first_prompt(clips.masks[0], kind, rng, 0.0)
    for t, truth in enumerate(clips.masks):
        current, _, _, score = track(model, clips, t, prompt, outputs)
        current["maskmem_features"] = current["maskmem_features"].bfloat16()
        outputs["non_cond_frame_outputs" if t else "cond_frame_outputs"][t] = current
        if t:
            yield current["pred_masks_high_res"][:, 0] > 0, score[:, 0], truth


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3)


def evaluate_stills(model: SAM2Base, pictures: int, first_seed: int = HELD_OUT) -> dict[str, float]:
    """Mean IoU over all objects of some pictures, prompted by one click anywhere on them, and by their boxes."""
    segmenter, rng = Sam2Segmenter(model), np.random.default_rng(first_seed)
    by_click, by_box = [], []
    for picture in scenes(first_seed, pictures):
        features = segmenter.encode_image(picture.image)
        for shape in picture.objects:
            click = rng.permutation(np.argwhere(shape.mask))[:1, ::-1].astype(np.float32) + 0.5
            answer = segmenter.predict(features, Prompt(click, np.ones(1, np.int32)))
            by_click.append(mask_iou(answer.mask, shape.mask))
            by_box.append(mask_iou(segmenter.predict(features, Prompt(box_xyxy=shape.xyxy)).mask, shape.mask))
    return {"click": _mean(by_click), "box": _mean(by_box)}
