"""Large generated pictures with a few large and many small shapes, and how many of them a detector finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from promptable.models.detection.proposals import Proposals
from promptable.models.detection.selection import LabelRule, Suppression, select
from promptable.models.detection.tiling import Tiling, propose
from promptable.models.grounding_dino.detector import GroundingDINO
from toy.metrics import match
from toy.scenes import COLOURS, LABELS, SHAPES, Sprite, outline_of, texture

SMALL = (24.0, 40.0)
_NOISE = 7
_SUBPIXEL_BITS = 4
_GAP = 1.2
_TRIES = 1000


@dataclass(frozen=True)
class Crowd:
    """A picture, uint8 RGB [H, W, 3], and the label and box xyxy float32 [4] of each object; none hides another."""

    image: NDArray[np.uint8]
    objects: tuple[tuple[str, NDArray[np.float32]], ...]


@dataclass(frozen=True)
class Score:
    """Shares at IoU 0.5 with the right label: of the detections, and of the objects."""

    threshold: float
    precision: float
    recall: float


def crowd(seed: int, hw: tuple[int, int], large: int, small: int) -> Crowd:
    """``small`` shapes of 24 to 40 px and ``large`` ones of a fifth to a third of the picture's height."""
    rng = np.random.default_rng([seed, 4])
    canvas = texture(rng, max(hw))[: hw[0], : hw[1]].copy()
    sides = [*rng.uniform(hw[0] / 5, hw[0] / 3, large), *rng.uniform(*SMALL, small)]
    boxes = [_draw(canvas, sprite) for sprite in _placed(sides, hw, rng)]
    image = np.clip(canvas + rng.normal(0, _NOISE, canvas.shape), 0, 255).astype(np.uint8)
    return Crowd(image, tuple(boxes))


def scores(
    detector: GroundingDINO, crowds: Sequence[Crowd], tiling: Tiling, thresholds: Sequence[float]
) -> list[Score]:
    """How well all 32 labels are found when the detector sees as ``tiling`` says, at each threshold."""
    proposed = [propose(detector, one.image, LABELS, tiling) for one in crowds]
    return [_score(proposed, crowds, threshold) for threshold in thresholds]


def _score(proposed: Sequence[Proposals], crowds: Sequence[Crowd], threshold: float) -> Score:
    matched = found = 0
    for proposals, one in zip(proposed, crowds, strict=True):
        rules = [LabelRule(threshold)] * len(LABELS)
        answers = select(proposals, range(len(LABELS)), rules, one.image.shape[:2], Suppression(limit=1000))
        named = [(LABELS[label], box) for label, box in zip(answers.labels, answers.boxes_xyxy, strict=True)]
        matched += len(match(named, one.objects))
        found += len(named)
    return Score(threshold, matched / max(found, 1), matched / sum(len(one.objects) for one in crowds))


def _placed(sides: Sequence[float], hw: tuple[int, int], rng: np.random.Generator) -> list[Sprite]:
    """Random shapes of these sides in pixels, apart from one another and inside the picture."""
    sprites: list[Sprite] = []
    while len(sprites) < len(sides):
        side = sides[len(sprites)]
        places = (_free_place(side, hw, sprites, rng) for _ in range(_TRIES))
        place = next((place for place in places if place is not None), None)
        if place is None:  # the first ones leave no room for this one
            sprites.clear()
            continue
        colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
        turned, brightness = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.82, 1.08))
        sprites.append(Sprite(colour, shape, place, side / 2, turned, brightness))
    return sprites


def _free_place(
    side: float, hw: tuple[int, int], sprites: Sequence[Sprite], rng: np.random.Generator
) -> tuple[float, float] | None:
    """A random centre x, y inside the picture; None where it is too near to another shape."""
    x, y = rng.uniform(side, hw[1] - side), rng.uniform(side, hw[0] - side)
    apart = (np.hypot(*np.subtract(one.centre, (x, y))) > _GAP * (one.radius + side / 2) for one in sprites)
    return (float(x), float(y)) if all(apart) else None


def _draw(canvas: NDArray[np.float32], sprite: Sprite) -> tuple[str, NDArray[np.float32]]:
    """Draw as ``scenes`` does, but only where the shape is, for a picture may have hundreds."""
    left, top = (int(centre - sprite.radius) - 3 for centre in sprite.centre)
    side = int(2 * sprite.radius) + 8
    outline = np.round((outline_of(sprite) - (left, top)) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [outline], 1, shift=_SUBPIXEL_BITS)
    patch = canvas[top : top + side, left : left + side]
    patch[mask > 0] = np.multiply(COLOURS[sprite.colour], sprite.brightness)
    inner = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    patch[(mask > 0) & (inner == 0)] *= 0.75
    x, y, width, height = cv2.boundingRect(mask)
    return sprite.label, np.array([left + x, top + y, left + x + width, top + y + height], np.float32)
