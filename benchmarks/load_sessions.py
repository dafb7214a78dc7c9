"""What annotators and a whole-task run ask for, again and again, with the answers that they must get each time."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toy.png import png_base64
from toy.scenes import scene, video

PICTURES = 8
_PER_PICTURE = 3
_CLICKS = 3
_FRAMES = 5

Post = Callable[[str, bytes], Awaitable[Any]]
"""A function's name and a body -> its JSON answer."""


@dataclass(frozen=True)
class Session:
    """Requests that follow from one another, to one function; ``ask`` returns what of the answers must be equal."""

    name: str
    ask: Callable[[Post], Awaitable[Sequence[object]]]


def clicks() -> list[Session]:
    """Several annotators on each picture, each at an object or a place of their own."""
    images = [png_base64(scene(40_000_000 + picture).image) for picture in range(PICTURES)]
    return [
        Session(f"clicks {picture}.{place}", _clicks(images[picture], seed=_PER_PICTURE * picture + place))
        for picture in range(PICTURES)
        for place in range(_PER_PICTURE)
    ]


def tracks() -> list[Session]:
    """Boxes that are followed through a few frames of clips."""
    return [Session(f"track {clip}", _track(50_000_000 + clip)) for clip in range(4)]


def frames() -> list[Session]:
    """The frames of a task, one by one."""
    return [Session(f"frame {n}", _frame(png_base64(scene(60_000_000 + n).image))) for n in range(PICTURES)]


def _clicks(image: str, seed: int) -> Callable[[Post], Awaitable[Sequence[object]]]:
    points = np.random.default_rng(seed).uniform(20, 170, (_CLICKS, 2)).round(1).tolist()
    prompts = [{"pos_points": points[:count], "neg_points": [], "obj_bbox": []} for count in range(1, _CLICKS + 1)]
    bodies = [_body({"image": image} | prompt) for prompt in prompts]

    async def ask(post: Post) -> Sequence[object]:
        return [await post("sam-interactor", body) for body in bodies]

    return ask


def _track(seed: int) -> Callable[[Post], Awaitable[Sequence[object]]]:
    images = [png_base64(frame.image) for frame in video(seed)[:_FRAMES]]
    start = {"image": images[0], "shapes": [{"type": "rectangle", "points": [60, 60, 130, 130]}], "states": []}

    async def ask(post: Post) -> Sequence[object]:
        answer = await post("sam2-tracker", _body(start))
        shapes = [answer["shapes"]]
        for image in images[1:]:
            following = {"image": image, "shapes": [None], "states": answer["states"]}
            answer = await post("sam2-tracker", _body(following))
            shapes.append(answer["shapes"])
        return shapes

    return ask


def _frame(image: str) -> Callable[[Post], Awaitable[Sequence[object]]]:
    async def ask(post: Post) -> Sequence[object]:
        return [await post("grounding-dino", _body({"image": image}))]

    return ask


def _body(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode()
