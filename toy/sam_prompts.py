"""The clicks, boxes and corrections that the toy SAM is trained with, drawn from the truth of generated scenes.

Coordinates are continuous picture pixels. Targets lie on the model's low-resolution grid of h x w.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from toy.scenes import Scene

_BACKGROUND_MARGIN = 7
_LARGEST_SHIFT = 8


@dataclass(frozen=True)
class Prompts:
    """N prompts over several pictures, with what each of them means.

    ``picture`` int64 [N] is the index of its picture and ``coverage`` float32 [N, h, w] the share of each
    low-resolution pixel that the object covers, all zero for a click on the background. ``points_xy`` float32 [N, P, 2]
    with ``labels`` int32 [N, P]; ``boxes_xyxy`` float32 [N, 4] or None. ``logits`` float32 [N, 1, h, w] is None or an
    earlier answer, given to the model only where ``with_logits`` bool [N] is true.
    """

    picture: Tensor
    coverage: Tensor
    points_xy: Tensor
    labels: Tensor
    boxes_xyxy: Tensor | None = None
    logits: Tensor | None = None
    with_logits: Tensor | None = None

    @property
    def on_object(self) -> Tensor:
        """Bool [N]: false for clicks on the background."""
        return self.coverage.amax((1, 2)) > 0


def draw_clicks(scenes: Sequence[Scene], stride: int, on_objects: int, beside: int, rng: Generator) -> Prompts:
    """For each scene, ``on_objects`` prompts of one click on a random object and ``beside`` of one click on none."""
    pictures, masks, points = [], [], []
    for index, scene in enumerate(scenes):
        free = _background(scene)
        chosen = [scene.objects[i].mask for i in rng.integers(len(scene.objects), size=on_objects)]
        masks += chosen + [np.zeros_like(free)] * beside
        points += [_random_point(region, rng) for region in chosen + [free] * beside]
        pictures += [index] * (on_objects + beside)
    labels = torch.ones(len(points), 1, dtype=torch.int32)
    points_xy = torch.from_numpy(np.stack(points))[:, None]
    return Prompts(torch.tensor(pictures), _coverage(masks, stride), points_xy, labels)


def draw_boxes(scenes: Sequence[Scene], stride: int, count: int, rng: Generator) -> Prompts:
    """For each scene, ``count`` boxes of random objects; half are exact, the others off by up to about a tenth."""
    chosen = [scene.objects[i] for scene in scenes for i in rng.integers(len(scene.objects), size=count)]
    boxes = torch.from_numpy(np.stack([_jittered(target.xyxy, target.mask.shape[0], rng) for target in chosen]))
    pictures = torch.arange(len(scenes)).repeat_interleave(count)
    coverage = _coverage([target.mask for target in chosen], stride)
    no_labels = torch.zeros(len(chosen), 0, dtype=torch.int32)
    return Prompts(pictures, coverage, torch.zeros(len(chosen), 0, 2), no_labels, boxes)


def correct(prompts: Prompts, logits: Tensor, stride: int, clicks: int, rng: Generator) -> Prompts:
    """The prompts on objects again, with ``clicks`` more clicks where their answers, float32 [N, h, w], are wrong.

    Half of them carry the answer. A quarter of the answers are shifted first, so that there is much to correct.
    """
    kept = prompts.on_object
    kept_prompts = Prompts(
        prompts.picture[kept],
        prompts.coverage[kept],
        prompts.points_xy[kept],
        prompts.labels[kept],
        None if prompts.boxes_xyxy is None else prompts.boxes_xyxy[kept],
    )
    answers = torch.from_numpy(np.stack([_perhaps_shifted(answer, rng) for answer in logits[kept].numpy()]))
    truth = kept_prompts.coverage > 0.5
    pixels = _wrong_pixels((answers > 0).numpy(), truth.numpy(), clicks, rng)
    rows, columns = pixels.unbind(-1)
    return replace(
        kept_prompts,
        points_xy=torch.cat([kept_prompts.points_xy, stride * (torch.stack([columns, rows], -1) + 0.5)], 1),
        labels=torch.cat([kept_prompts.labels, truth[torch.arange(len(truth))[:, None], rows, columns].int()], 1),
        logits=answers[:, None],
        with_logits=torch.from_numpy(rng.random(len(truth)) < 0.5),
    )


def _background(scene: Scene) -> NDArray[np.bool_]:
    """Pixels that are clearly on no object."""
    occupied = np.any([target.mask for target in scene.objects], 0).astype(np.uint8)
    near = cv2.dilate(occupied, np.ones((_BACKGROUND_MARGIN, _BACKGROUND_MARGIN), np.uint8))
    return np.asarray(near == 0)


def _random_point(region: NDArray[np.bool_], rng: Generator) -> NDArray[np.float32]:
    """A uniformly random place in the region, float32 xy [2]."""
    row, column = rng.choice(np.argwhere(region))
    return np.array([column, row], np.float32) + rng.random(2, np.float32)


def _jittered(xyxy: NDArray[np.float32], size: int, rng: Generator) -> NDArray[np.float32]:
    sides = np.tile(xyxy[2:] - xyxy[:2], 2)
    spread = max(0.0, rng.uniform(-0.1, 0.1))
    return np.clip(xyxy + spread * sides * rng.normal(size=4), 0, size).astype(np.float32)


def _coverage(masks: Sequence[NDArray[np.bool_]], stride: int) -> Tensor:
    return functional.avg_pool2d(torch.from_numpy(np.stack(masks)).float(), stride)


def _perhaps_shifted(answer: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    shift = rng.integers(-_LARGEST_SHIFT, _LARGEST_SHIFT + 1, 2) * (rng.random() < 0.25)
    return np.roll(answer, shift, (0, 1))


def _wrong_pixels(found: NDArray[np.bool_], truth: NDArray[np.bool_], count: int, rng: Generator) -> Tensor:
    """Where a person would click to correct each mask, int64 [N, count, 2] row and column.

    First the middle of what is wrong, then random wrong pixels; random pixels of the object where nothing is wrong.
    """
    pixels = np.empty((len(found), count, 2), np.int64)
    for index, wrong in enumerate(found ^ truth):
        candidates = np.argwhere(wrong if wrong.any() else truth[index])
        pixels[index] = rng.choice(candidates, count)
        if wrong.any():
            depth = cv2.distanceTransform(wrong.astype(np.uint8), cv2.DIST_L2, 3)
            pixels[index, 0] = np.unravel_index(depth.argmax(), depth.shape)
    return torch.from_numpy(pixels)
