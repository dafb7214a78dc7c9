"""Generated pictures and videos of coloured shapes, with exact masks: the world of the toy checkpoints.

A scene is a pure function of its seed. Coordinates are continuous picture pixels: pixel (row, column) covers
[column, column + 1) x [row, row + 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 192
COLOURS = {
    "red": (205, 40, 45),
    "green": (45, 150, 60),
    "blue": (40, 80, 205),
    "yellow": (235, 210, 50),
    "purple": (130, 50, 160),
    "orange": (240, 130, 30),
    "cyan": (60, 200, 215),
    "white": (245, 245, 245),
}
SHAPES = ("circle", "square", "triangle", "star")
LABELS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

_SUBPIXEL_BITS = 4
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True)
class Sprite:
    """One shape before it is drawn: lengths in pixels, angles in radians, changes per frame."""

    colour: str
    shape: str
    centre: tuple[float, float]
    radius: float
    angle: float
    brightness: float = 1.0
    velocity: tuple[float, float] = (0.0, 0.0)
    growth: float = 1.0
    spin: float = 0.0

    @property
    def label(self) -> str:
        return f"{self.colour} {self.shape}"

    def after(self, frames: int) -> "Sprite":
        x, y = np.add(self.centre, np.multiply(self.velocity, frames))
        return replace(
            self,
            centre=(float(x), float(y)),
            radius=self.radius * self.growth**frames,
            angle=self.angle + self.spin * frames,
        )


@dataclass(frozen=True)
class SceneObject:
    """The truth of one shape. ``mask`` is its visible part, bool [H, W]; empty while it is hidden or outside."""

    label: str
    mask: NDArray[np.bool_]

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """Box of the visible part, float32 [4]."""
        columns, rows = np.flatnonzero(self.mask.any(0)), np.flatnonzero(self.mask.any(1))
        return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 RGB [H, W, 3], and its objects, back to front."""

    image: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]


def scene(seed: int, size: int = SIZE, max_objects: int = 6) -> Scene:
    """A picture of 1 to ``max_objects`` shapes. Each shows at least 1% of the picture and at least half of itself."""
    rng = np.random.default_rng([seed, 1])
    sprites = [_random_sprite(rng, size) for _ in range(rng.integers(1, max_objects + 1))]
    background = texture(rng, size)
    return draw(_without_crowding(sprites, size), background, rng)


def video(seed: int, frames: int = 16, size: int = SIZE, max_objects: int = 4, leaving: float = 0.3) -> list[Scene]:
    """A clip of shapes that move, scale, turn and cross; each leaves the picture with probability ``leaving``.

    Every frame lists the same objects in the same order; all are visible in the first frame.
    """
    rng = np.random.default_rng([seed, 2])
    sprites = [_random_sprite(rng, size) for _ in range(rng.integers(1, max_objects + 1))]
    sprites = [_in_motion(sprite, rng, size, frames, leaving) for sprite in _without_crowding(sprites, size)]
    background = texture(rng, size)
    return [draw([sprite.after(t) for sprite in sprites], background, rng) for t in range(frames)]


def scenes(first_seed: int, count: int, size: int = SIZE) -> Iterator[Scene]:
    return (scene(seed, size) for seed in range(first_seed, first_seed + count))


def silhouette(sprite: Sprite, size: int) -> NDArray[np.bool_]:
    """The whole shape's mask, bool [size, size], hidden parts included."""
    canvas = np.zeros((size, size), np.uint8)
    outline = np.round(outline_of(sprite) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [outline], 1, shift=_SUBPIXEL_BITS)
    return canvas.astype(bool)


def outline_of(sprite: Sprite) -> NDArray[np.float64]:
    """Corners of the shape around its centre, float64 [N, 2], in pixel-centre coordinates as cv2 draws them."""
    corners = {"circle": 48, "square": 4, "triangle": 3, "star": 10}[sprite.shape]
    angles = sprite.angle + np.arange(corners) * 2 * np.pi / corners
    radii = np.full(corners, sprite.radius)
    if sprite.shape == "star":
        radii[1::2] *= 0.5
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    corners_xy: NDArray[np.float64] = np.array(sprite.centre) - 0.5 + radii[:, None] * directions
    return corners_xy


def _random_sprite(rng: np.random.Generator, size: int) -> Sprite:
    radius = size * float(np.exp(rng.uniform(np.log(0.08), np.log(0.22))))
    x, y = rng.uniform(0.8 * radius, size - 0.8 * radius, 2)
    return Sprite(
        colour=str(rng.choice(list(COLOURS))),
        shape=str(rng.choice(SHAPES)),
        centre=(float(x), float(y)),
        radius=radius,
        angle=float(rng.uniform(0, 2 * np.pi)),
        brightness=float(rng.uniform(0.82, 1.08)),
    )


def _without_crowding(sprites: list[Sprite], size: int) -> list[Sprite]:
    """Keep, front to back, the shapes of which at least half and at least 1% of the picture can be seen."""
    kept: list[Sprite] = []
    covered = np.zeros((size, size), bool)
    for sprite in reversed(sprites):
        whole = silhouette(sprite, size)
        visible = int((whole & ~covered).sum())
        if visible >= max(0.5 * whole.sum(), 0.012 * size * size):
            kept.insert(0, sprite)
            covered |= whole
    return kept or [replace(sprites[0], radius=0.15 * size, centre=(size / 2, size / 2))]


def _in_motion(sprite: Sprite, rng: np.random.Generator, size: int, frames: int, leaving: float) -> Sprite:
    """A sprite that heads for another place, in the picture or beyond its border, and is there when the clip ends."""
    goal = rng.uniform(0.15 * size, 0.85 * size, 2)
    if rng.random() < leaving:
        outward = np.array(sprite.centre) - size / 2
        goal = size / 2 + outward / max(float(np.linalg.norm(outward)), 1.0) * size * rng.uniform(0.8, 1.1)
    velocity = (goal - np.array(sprite.centre)) / (frames - 1)
    return replace(
        sprite,
        velocity=(float(velocity[0]), float(velocity[1])),
        growth=float(np.exp(rng.uniform(-0.35, 0.35) / frames)),
        spin=float(rng.uniform(-0.12, 0.12)),
    )


def texture(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """A grayish texture of several scales with thin lines and specks that are no shapes, float32 [H, W, 3]."""
    canvas = np.full((size, size, 3), rng.uniform(70, 170), np.float32)
    for cells in (3, 8, 24):
        coarse = rng.normal(0, 14, (cells, cells, 3)).astype(np.float32)
        canvas += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(2, 7)):
        ends = rng.uniform(0, size, (2, 2)).astype(int).tolist()
        cv2.line(canvas, ends[0], ends[1], rng.uniform(40, 200, 3).tolist(), int(rng.integers(1, 3)), cv2.LINE_AA)
    for _ in range(rng.integers(3, 10)):
        centre = rng.uniform(0, size, 2).astype(int).tolist()
        cv2.circle(canvas, centre, int(rng.integers(1, 4)), rng.uniform(30, 230, 3).tolist(), -1, cv2.LINE_AA)
    return canvas


def draw(sprites: list[Sprite], background: NDArray[np.float32], rng: np.random.Generator) -> Scene:
    """The sprites, back to front, before a ``texture``."""
    size = background.shape[0]
    canvas = background.copy()
    masks: list[NDArray[np.bool_]] = []
    for sprite in sprites:
        whole = silhouette(sprite, size)
        canvas[whole] = np.multiply(COLOURS[sprite.colour], sprite.brightness)
        canvas[whole & ~cv2.erode(whole.astype(np.uint8), _CROSS).astype(bool)] *= 0.75
        masks = [mask & ~whole for mask in masks] + [whole]
    image = np.clip(canvas + rng.normal(0, 7, canvas.shape), 0, 255).astype(np.uint8)
    return Scene(image, tuple(SceneObject(s.label, mask) for s, mask in zip(sprites, masks, strict=True)))
