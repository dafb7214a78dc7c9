"""Clips that ask a tracker's memory: objects go away for long, and something alike is near when they come back.

No object ends where it began, so that a tracker that stands still fails.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from toy.scenes import COLOURS, SHAPES, SIZE, Scene, Sprite, draw, texture

FRAMES = 30
FIRST_SEED = 50_000_000
PER_KIND = 16

_CENTRE = SIZE / 2
_ARRIVES, _LEAVES = 8, 20  # when what goes away has arrived there, and when it sets out again
_OUTSIDE = 2.0  # rings from the centre to where nothing is seen
_RING = 0.39 * SIZE  # how far from the centre objects begin and end: clear of what hides them there

Route = Sequence[tuple[int, float, float]]
"""Where a sprite's centre is: (frame, x, y) of some frames, between which it moves evenly."""


@dataclass(frozen=True)
class MemoryClip:
    """Frames that list the same objects, of which the first ``followed`` are to be followed."""

    kind: str
    frames: tuple[Scene, ...]
    followed: int


@dataclass(frozen=True)
class _Actor:
    sprite: Sprite
    route: Route

    def at(self, frame: int) -> Sprite:
        times, *places = zip(*self.route, strict=True)
        x, y = (float(np.interp(frame, times, each)) for each in places)
        return replace(self.sprite, centre=(x, y), angle=self.sprite.angle + self.sprite.spin * frame)


def clips(per_kind: int = PER_KIND) -> Iterator[MemoryClip]:
    """So many of each kind, in turn."""
    for number in range(per_kind):
        for kind in KINDS:
            yield memory_clip(kind, FIRST_SEED + number)


def memory_clip(kind: str, seed: int) -> MemoryClip:
    """A clip of one of ``KINDS``, a pure function of the seed."""
    rng = np.random.default_rng([seed, 4, list(KINDS).index(kind)])
    followed, others = KINDS[kind](rng)
    background, actors = texture(rng, SIZE), [*followed, *others]
    frames = tuple(draw([actor.at(t) for actor in actors], background, rng) for t in range(FRAMES))
    return MemoryClip(kind, frames, len(followed))


Cast = tuple[list[_Actor], list[_Actor]]
"""Who is to be followed, and who is in front of them."""


def _occlusion(rng: np.random.Generator) -> Cast:
    """Behind something large for some 16 frames, and out on another side."""
    target, cover = _sprites(rng, 2)
    return [_Actor(target, _behind(*_angles(rng)))], [_cover(cover)]


def _crossing(rng: np.random.Generator) -> Cast:
    """Two objects stop at the same place, one before the other, and go on."""
    back, front = _sprites(rng, 2)
    angle, turn = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1]) * rng.uniform(0.4, 0.8) * np.pi
    larger = replace(front, radius=1.5 * back.radius)
    return [_Actor(back, _through(angle)), _Actor(larger, _through(angle + turn))], []


def _look_alike(rng: np.random.Generator) -> Cast:
    """While one is hidden, another of its colour or shape comes to where it vanished, and goes on from there."""
    target, twin, cover = _sprites(rng, 3)
    is_same_colour = rng.random() < 0.5
    colour, shape = (target.colour, twin.shape) if is_same_colour else (twin.colour, target.shape)
    twin = replace(twin, radius=target.radius, colour=colour, shape=shape)
    angle, turn = _angles(rng)
    visiting = (
        (0, *_on_ring(angle + np.pi)),
        (_ARRIVES, *_on_ring(angle - 0.8 * np.pi * np.sign(turn))),
        (_LEAVES, *_on_ring(angle)),
        (FRAMES - 1, *_on_ring(angle - turn)),
    )
    return [_Actor(target, _behind(angle, turn)), _Actor(twin, visiting)], [_cover(cover)]


def _return(rng: np.random.Generator) -> Cast:
    """Out of the picture, and in again elsewhere, while another of its shape stays."""
    target, other = _sprites(rng, 2)
    angle, turn = _angles(rng)
    route = (
        (0, *_on_ring(angle, 0.7)),
        (_ARRIVES, *_on_ring(angle, _OUTSIDE)),
        (_LEAVES - 2, *_on_ring(angle + turn, _OUTSIDE)),
        (FRAMES - 1, *_on_ring(angle + turn, 0.6)),
    )
    staying = ((0, *_on_ring(angle + np.pi, 0.8)), (FRAMES - 1, *_on_ring(angle - turn, 0.8)))
    return [_Actor(target, route), _Actor(replace(other, shape=target.shape), staying)], []


KINDS: MappingProxyType[str, Callable[[np.random.Generator], Cast]] = MappingProxyType(
    {"occlusion": _occlusion, "crossing": _crossing, "look-alike": _look_alike, "return": _return}
)


def _sprites(rng: np.random.Generator, count: int) -> list[Sprite]:
    """Of different colours and shapes."""
    colours, shapes = rng.permutation(list(COLOURS))[:count], rng.permutation(SHAPES)[:count]
    return [
        Sprite(
            colour=str(colour),
            shape=str(shape),
            centre=(_CENTRE, _CENTRE),
            radius=SIZE * float(rng.uniform(0.095, 0.115)),
            angle=float(rng.uniform(0, 2 * np.pi)),
            brightness=float(rng.uniform(0.85, 1.05)),
            spin=float(rng.uniform(-0.08, 0.08)),
        )
        for colour, shape in zip(colours, shapes, strict=True)
    ]


def _cover(sprite: Sprite) -> _Actor:
    """Something large in the middle that stays there."""
    large = replace(sprite, shape="circle", radius=0.2 * SIZE, spin=0.0)
    return _Actor(large, ((0, _CENTRE, _CENTRE), (FRAMES - 1, _CENTRE, _CENTRE)))


def _angles(rng: np.random.Generator) -> tuple[float, float]:
    """The side that an object goes away from, and how far from it, either way round, it comes back."""
    return float(rng.uniform(0, 2 * np.pi)), float(rng.choice([-1, 1]) * rng.uniform(0.12, 0.22) * np.pi)


def _behind(angle: float, turn: float) -> Route:
    """To the middle, and out in another direction."""
    away, back = _on_ring(angle), _on_ring(angle + turn)
    return ((0, *away), (_ARRIVES, _CENTRE, _CENTRE), (_LEAVES, _CENTRE, _CENTRE), (FRAMES - 1, *back))


def _through(angle: float) -> Route:
    """To the middle, and out on the other side."""
    beyond = _on_ring(angle + np.pi)
    return ((0, *_on_ring(angle)), (12, _CENTRE, _CENTRE), (18, _CENTRE, _CENTRE), (FRAMES - 1, *beyond))


def _on_ring(angle: float, distance: float = 1.0) -> tuple[float, float]:
    """A point around the middle of the picture."""
    return _CENTRE + distance * _RING * float(np.cos(angle)), _CENTRE + distance * _RING * float(np.sin(angle))
