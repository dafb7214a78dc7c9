"""First lessons for the small Grounding DINO's Swin: which colour and shape is at each position of a crowded picture.

Upstream's detector starts from a Swin that was trained on ImageNet; without such a start, shapes are learnt late.
"""

from dataclasses import dataclass

import numpy as np
import torch
from groundingdino.models.GroundingDINO.backbone.backbone import Joiner
from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
from groundingdino.util.misc import nested_tensor_from_tensor_list
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from promptable.models.grounding_dino.build import GroundingDinoConfig
from promptable.models.grounding_dino.preprocess import preprocess
from toy.scenes import COLOURS, SHAPES, Scene, Sprite, draw, texture

BATCH = 8
_NOTHING = -100  # cross_entropy's ignore_index


@torch.no_grad()
def look_around(swin: SwinTransformer) -> None:
    """Let each attention head begin by looking at one neighbour, in directions that go round with the heads and blocks.

    Attention that begins blind to positions, as upstream's does, takes thousands of steps to see a shape.
    """
    for layer in swin.layers:
        steps = torch.arange(1.0 - layer.window_size, layer.window_size)
        offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 1, 2)
        for index, block in enumerate(layer.blocks):
            heads = block.attn.num_heads
            angles = 2 * torch.pi * (torch.arange(heads) + index / 2) / heads
            neighbours = torch.stack([angles.cos(), angles.sin()], -1)
            block.attn.relative_position_bias_table.copy_(-(offsets - neighbours).square().sum(-1))


@dataclass(frozen=True)
class Lesson:
    """Pictures [B, 3, h, w] and what each pixel of them shows, int64 [B, h, w].

    ``colours`` count from 1, and 0 is background; ``shapes`` count from 0.
    """

    pictures: Tensor
    colours: Tensor
    shapes: Tensor


class PositionClassifier(nn.Module):
    """A backbone with linear classifiers on each level: one of the colours or background, and one of the shapes."""

    def __init__(self, backbone: Joiner) -> None:
        super().__init__()
        self.backbone = backbone
        classes = 1 + len(COLOURS) + len(SHAPES)
        self.heads = nn.ModuleList(nn.Linear(channels, classes) for channels in backbone.num_channels)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Logits [B, h, w, colours + shapes] of each level."""
        levels, _ = self.backbone(nested_tensor_from_tensor_list(list(pictures)))
        return [head(level.tensors.permute(0, 2, 3, 1)) for head, level in zip(self.heads, levels, strict=True)]


def draw_lesson(step: int, config: GroundingDinoConfig) -> Lesson:
    drawn = [_mosaic(step * BATCH + index, config.short_side) for index in range(BATCH)]
    pictures = [preprocess(one.image, config.short_side, config.long_side) for one in drawn]
    colours, shapes = zip(*(_shown(one) for one in drawn), strict=True)
    return Lesson(torch.stack(pictures), torch.from_numpy(np.stack(colours)), torch.from_numpy(np.stack(shapes)))


def _mosaic(seed: int, size: int) -> Scene:
    """A picture full of shapes, about one in each cell of a grid, so that each step shows many."""
    rng = np.random.default_rng([seed, 4])
    grid = int(rng.integers(3, 6))
    cells = [(column, row) for row in range(grid) for column in range(grid)]
    return draw([_cell_sprite(cell, size / grid, rng) for cell in cells], texture(rng, size), rng)


def _cell_sprite(cell: tuple[int, int], side: float, rng: np.random.Generator) -> Sprite:
    x, y = (np.array(cell) + 0.5 + rng.uniform(-0.15, 0.15, 2)) * side
    return Sprite(
        colour=str(rng.choice(list(COLOURS))),
        shape=str(rng.choice(SHAPES)),
        centre=(float(x), float(y)),
        radius=side * float(rng.uniform(0.3, 0.5)),
        angle=float(rng.uniform(0, 2 * np.pi)),
        brightness=float(rng.uniform(0.82, 1.08)),
    )


def _shown(one: Scene) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    colours, shapes = np.zeros(one.image.shape[:2], np.int64), np.full(one.image.shape[:2], _NOTHING, np.int64)
    for item in one.objects:
        colour, shape = item.label.split()
        colours[item.mask] = 1 + list(COLOURS).index(colour)
        shapes[item.mask] = SHAPES.index(shape)
    return colours, shapes


def lesson_loss(classifier: PositionClassifier, lesson: Lesson) -> Tensor:
    losses = [_level_loss(logits, lesson) for logits in classifier(lesson.pictures)]
    return torch.stack(losses).sum()


def _level_loss(logits: Tensor, lesson: Lesson) -> Tensor:
    colour_logits, shape_logits = torch.split(logits.permute(0, 3, 1, 2), [1 + len(COLOURS), len(SHAPES)], 1)
    stride = lesson.shapes.shape[1] // logits.shape[1]
    at_centres = slice(stride // 2, None, stride)
    colours, shapes = (truth[:, at_centres, at_centres] for truth in (lesson.colours, lesson.shapes))
    return functional.cross_entropy(colour_logits, colours) + functional.cross_entropy(shape_logits, shapes)
